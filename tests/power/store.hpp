// A durable store as writer and verifier have it open.
#pragma once

#include <keystile.h>

#include <map>
#include <string>

#include "power/history.hpp"
#include "power/report.hpp"

namespace keystile::power {

struct Options {
    std::string folder;    // the store's directory
    std::string segments;  // where its segment lies
    std::string report;
    unsigned lanes = 1;  // of this process, or (verify) at least there
    unsigned first_lane = 0;
    std::uint64_t commits = 48;  // of each lane
    bool has_flusher = false;    // the library's own thread
    int tries = 6;               // of a call that failed
};

// The three things that a run may end with, as exit codes.
constexpr int kDone = 0;
constexpr int kGaveUp = 1;   // the system said no each time, and the library said so
constexpr int kFinding = 3;  // what must not be: standard error says what

// "finding: …", and kFinding.
int finding(const std::string& what);

std::string url_of(const Options& options);
ks_status open(const Options& options, ks_store** store_out);

// What one lane has in the store.
struct Seen {
    State state;
    std::map<std::uint64_t, std::uint64_t> lsn;  // by number; a value's version is its commit's lsn
    std::uint64_t last_lsn = 0;                  // deleted keys too
    std::string wrong;                           // a value that nobody wrote; "": none
};

ks_status see(ks_session* session, unsigned lane, Seen* seen_out);

// Make commit `number` of a lane. *lsn_out only with KS_OK.
ks_status commit(ks_session* session, unsigned lane, std::uint64_t number, std::uint64_t* lsn_out);
// A claim, given back; *epoch_out: its token.
ks_status claim(ks_session* session, unsigned lane, std::uint64_t* epoch_out);

// Both answer with one of the exit codes.
int write(const Options& options);
int verify(const Options& options);

}  // namespace keystile::power
