// What the others are compared with, each also as a case of its own.
//
// Workloads (time = one operation):
//   cas/hot                   one `lock cmpxchg16b`, the same word again and again
//   cas/uniform100k           one `lock cmpxchg16b` on a table of 100,000 lines of 64 bytes, the next line depends
//                             on the result of the last
//   mutex/DISTRIBUTION/OP     a robust process-shared pthread mutex per key around the same work
//   seqlock/DISTRIBUTION/OP   a sequence counter per key around the same work
//   mutex_in_place/DISTRIBUTION/commit, seqlock_in_place/DISTRIBUTION/commit
//                             the same, overwriting: a death inside leaves a torn value
// DISTRIBUTION: hot, zipf100k, uniform100k. OP: commit, get. Key 16 bytes, value 64.
// What exactly they do: rig/guarded_engines.hpp.
#include "rig/worlds.hpp"

namespace keystile::bench {
namespace {

struct alignas(64) Line {
    std::uint64_t lo, hi;
};

// The word that was there, so that the next address can depend on it.
inline std::uint64_t cas_lo(Line& line, std::uint64_t expected, std::uint64_t desired) noexcept {
    std::uint64_t lo = expected, hi = 0;
    asm volatile("lock cmpxchg16b %[word]"
                 : [word] "+m"(line), "+a"(lo), "+d"(hi)
                 : "b"(desired), "c"(0ull)
                 : "cc", "memory");
    return lo;
}

template <class Order>
Contestant cas_over(std::int64_t ops, std::uint32_t lines) {
    struct Table {
        explicit Table(std::uint32_t count) : line(count) {}
        Shared<Line> line;  // shared memory as a segment's: no huge pages
        Order order{};
        std::uint64_t version = 0;
        std::uint64_t moved = 0;
    };
    auto table = std::make_shared<Table>(lines);
    const auto lap = [table, ops, is_hot = lines == 1] {
        Table& t = *table;
        for (std::int64_t i = 0; i < ops; ++i) {
            t.moved = cas_lo(t.line[t.order.next(t.moved)], t.version, t.version + 1) - t.version;
            t.version += is_hot ? 1 : 0;
        }
        t.version += is_hot ? 0 : 1;
        need(t.moved == 0, "a compare-and-swap failed");
    };
    return contestant_of("cas", ops, lines != 1, lap);
}

}  // namespace

Contestant cas_hot() {
    return cas_over<HotOrder>(kHotOps, 1);
}
Contestant cas_uniform() {
    return cas_over<LapOrder<kManyKeys>>(kManyKeys, kManyKeys);
}
Contestant cas_budget(std::int64_t ops, std::int64_t each) {
    const auto cas = cas_over<HotOrder>(ops * each, 1).run;
    return contestant_of("budget", ops, false, [cas] { cas(); });
}

namespace {

template <class Engine>
void add_guarded(Op op, const std::string& op_name) {
    for (const auto& [name, distribution] : kDistributions) {
        add_case(std::string(Engine::kName) + "/" + name + "/" + op_name,
                 [=]() -> std::vector<Contestant> { return {contestant<Engine>(distribution, op)}; });
    }
}

[[maybe_unused]] const bool is_added = [] {
    add_case("cas/hot", []() -> std::vector<Contestant> { return {cas_hot()}; });
    add_case("cas/uniform100k", []() -> std::vector<Contestant> { return {cas_uniform()}; });
    add_guarded<Mutex>(Op::kCommit, "commit");
    add_guarded<Mutex>(Op::kGet, "get");
    add_guarded<Seqlock>(Op::kCommit, "commit");
    add_guarded<Seqlock>(Op::kGet, "get");
    add_guarded<MutexInPlace>(Op::kCommit, "commit");
    add_guarded<SeqlockInPlace>(Op::kCommit, "commit");
    return true;
}();

}  // namespace
}  // namespace keystile::bench
