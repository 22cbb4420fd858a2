// One writer and reader among many: does random calls and writes each into its log.
#pragma once

#include <keystile.h>

#include <memory>
#include <string>
#include <vector>

#include "stress/dice.hpp"
#include "stress/history.hpp"

namespace keystile::testing {

inline constexpr int kHotKeys = 4;
inline constexpr int kKeys = 24;
inline constexpr std::size_t kValueMax = 150'000;  // runs of chunks
const std::string& key_name(int key);
ks_status open_stress_store(const std::string& url, std::uint32_t flags, ks_store** store_out);

// A value that says who wrote it, from which version, and whether it is whole.
struct ValueHead {
    std::uint64_t id;  // {worker : 32, sequence : 32}
    std::uint64_t key;
    std::uint64_t from_version;
    std::uint64_t size;  // with this head
    std::uint64_t hash;  // of all above and of what follows
};

class Worker {
public:
    // `store`: shared with other threads; if null, the worker opens its own.
    Worker(History& history, int log, std::uint64_t seed, const std::string& url, ks_store* store);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();
    void run();  // until the history says stop, or the log is full

private:
    struct Held {
        int key;
        ks_grant grant;
    };
    struct Memory {  // of the last look at a key
        ks_stamp stamp{};
        std::uint64_t value = 0;
        bool has_value_id = false;
        std::uint64_t claim_epoch = 0;  // an odd epoch that was seen
    };

    void step();
    int pick_key();
    std::size_t pick_size(int key);
    Event& draft(Op op, int key, std::uint64_t ahead = 0);  // not counted yet
    void go(Event& event);                                  // counted: the call comes next
    void end(Event& event, ks_status status);               // the call is back …
    void done(Event& event);                                // … and all that it told is written down
    void told(Event& event, ks_stamp stamp, ks_status status);
    std::string_view make_value(int key, std::uint64_t from_version, std::uint64_t* id_out);
    void take_in(Event& event, ks_status status, const char* value, std::size_t size, ks_stamp seen);

    void read(int key);
    void read_many();
    void look_at_size(int key);
    void write(int key, bool is_delete);
    void write_held();
    void commit(int key, bool is_delete, const ks_grant* grant, bool is_releasing);
    void claim(int key);
    void renew();
    void release();
    void reclaim(int key);
    void watch(int key);
    void look_after();
    void open();
    void forget_held(std::size_t index);

    History& history_;
    Log& log_;
    Dice dice_;
    std::string url_;
    ks_store* store_;
    const bool owns_store_;
    ks_session* session_ = nullptr;
    const std::uint32_t number_;
    std::uint32_t sequence_ = 0;
    std::vector<Held> held_;
    std::vector<Memory> memory_ = std::vector<Memory>(kKeys);
    std::vector<char> out_ = std::vector<char>(kValueMax), in_ = std::vector<char>(kValueMax);
};

// Lets other processes in between, at random, whenever a crash point is passed; with `is_deadly` it also
// stops and kills its own process there, now and then. For this thread from now on.
void make_points_rough(std::uint64_t seed, bool is_deadly);

}  // namespace keystile::testing
