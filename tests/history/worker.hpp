// One process among many: random calls on few keys, each written into its log.
#pragma once

#include <keystile.h>

#include <string>
#include <vector>

#include "history/log.hpp"
#include "stress/dice.hpp"

namespace keystile::history {

// What differs from round to round, so that rounds differ in kind.
struct Plan {
    std::uint64_t seed = 0;
    int processes = 4;
    int keys = 4;
    int calls = 450;
    int multis = 4;      // of ten writes
    int blind = 6;       // one put of a transaction in so many expects nothing
    int stale = 6;       // one write in so many is from an old look
    int deletes = 8;     // one write in so many
    int claims = 2;      // of ten writes: about claims instead
    int use_in = 2;      // who holds a key acts on it once in so many steps
    int yield_in = 20;   // at one crash point in so many the process lets others run,
    int stop_in = 3000;  // is stopped,
    int kill_in = 3000;  // killed
    const char* guard_off = nullptr;
};

inline constexpr std::uint64_t kEpochMask = (1ull << 39) - 1;  // the rest is the store's incarnation

inline ks_bytes bytes_of(const std::string& text) {
    return {text.data(), text.size()};
}
const std::string& key_name(int key);

ks_status open_store(const std::string& url, std::uint32_t flags, const std::string& label,
                     ks_store** store_out);

// Crash points of this process become what the plan says.
void make_points_rough(const Plan& plan, std::uint64_t seed);

class Worker {
public:
    // `number` is nobody else's in this round, and the label that others are told of a claim's owner.
    Worker(Table& table, int log, std::uint32_t number, const Plan& plan, std::uint64_t seed,
           const std::string& url);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();
    bool is_open() const noexcept { return session_ != nullptr; }
    void run();  // until the table's calls are used up
    // When all is quiet: one look at all keys in each way, and a claim of each.
    void look_at_all();

private:
    struct Memory {  // of the last look at a key
        ks_stamp stamp{};
        bool is_fresh = false;
    };
    struct Hold {
        ks_grant grant{};
        std::uint32_t of = 0;  // the worker that was granted it; 0: nothing
    };

    void step();
    int pick_key() { return static_cast<int>(dice_.roll(static_cast<std::uint64_t>(plan_.keys))); }
    std::vector<int> pick_keys(std::size_t least, std::size_t most);
    Call& draft(Op op);  // not counted yet
    void go(Call& call);
    void done(Call& call, std::uint64_t end_ns, ks_status status);
    void took(Item& item, ks_status status, const void* value, std::size_t size, ks_stamp seen);
    void told(Item& item, ks_status status, ks_stamp stamp, const ks_owner& owner);

    void get(int key);
    void get_many(const std::vector<int>& keys);
    void snapshot(const std::vector<int>& keys);
    void snapshot_prefix();
    void commit(int key, const Hold& hold, bool is_releasing);
    void multi(const std::vector<int>& keys);
    void multi_step(Call& commit, int key);
    void multi_told(Call& commit);
    void look(int key);
    ks_bytes make_value(std::int64_t* id_out);

    // claims.cpp
    bool is_holding() const;
    void step_of_claims();
    void use_claim(int key);
    void claim(int key);
    void renew(int key, const Hold& hold);
    void release(int key, const Hold& hold);
    void reclaim(int key);
    void act_under(int key, const Hold& hold);
    Hold steal(int key);
    bool multi_step_of_claim(Item& item);
    void lose(int key, const Item& item);

    Log& log_;
    Table& table_;
    const Plan& plan_;
    testing::Dice dice_;
    std::uint32_t number_;
    std::int64_t values_ = 0;
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
    ks_multi* multi_ = nullptr;
    Memory memory_[kKeysMax];
    Hold held_[kKeysMax];  // as far as this process knows
    Hold lost_[kKeysMax];  // what it held before
    std::vector<std::uint64_t> in_, out_;
};

}  // namespace keystile::history
