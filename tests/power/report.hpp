// What the writers tell somebody outside, who survives them: a line a fact, written at once, in one call.
//
// A file, a pipe, a terminal; or a block device: then each line fills a sector, written past the page cache, so that
// the disk's own log says which facts stood before which write of the store.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keystile::power {

class Report {
public:
    // Appends. False, with errno: it cannot be opened.
    bool open(const std::string& path);
    // The lane goes on behind `number`: what was told of later ones, in an earlier life, is over.
    void from(unsigned lane, std::uint64_t number);
    // Everybody sees commit `number`; lsn 0: not told.
    void made(unsigned lane, std::uint64_t number, std::uint64_t lsn);
    // It and all before it were said to be on disk.
    void durable(unsigned lane, std::uint64_t number);
    void token(unsigned lane, std::uint64_t epoch);
    void failed(const char* call, int status);  // and this thread's last errno

private:
    void line(const std::string& text);

    int descriptor_ = -1;
    bool is_in_sectors_ = false;
    std::atomic<std::uint64_t> sector_ = 0;  // the next
};

struct LaneReport {
    std::map<std::uint64_t, std::uint64_t> lsn;  // by number
    std::uint64_t durable = 0;
    std::uint64_t token = 0;
};

struct Told {
    std::vector<LaneReport> lanes;
    std::uint64_t last_lsn = 0;  // of all lives
};

// What was written there; a line without its end does not count. False: there is no such file.
bool read_report(const std::string& path, Told* told_out);

}  // namespace keystile::power
