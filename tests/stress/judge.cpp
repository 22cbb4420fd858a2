// The checker: is there one order of all that happened to a key that explains what everybody was told?
//
// The order is given: versions and epochs only grow, and a stamp names a state of the slot's word. What
// remains to be asked:
//   ExactlyOneWinner   one author per version, and every version has one
//   NoLostUpdate       the author read the version before, and computed from its value
//   NoTornRead         a value belongs to its stamp: its author's, whole
//   NoStaleApply       a commit's stamp has the epoch it was made under
//   OneOwnerPerEpoch   an odd epoch was granted once; only its owner committed in it
//   VersionOnlyGrows   states are a chain: none has a higher version and a lower epoch than another
//   real time          nobody was told a state when somebody's call had already ended with a later one
//   OutcomeIsTrue      a refusal names a state that refuses
//   LeaseHolds         a claim whose lease ran, and that nobody took by force, was not fenced
// A call that never came back may have happened, at any time until its process was seen dead.
#include <keystile.h>

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <optional>

#include "stress/history.hpp"

namespace keystile::testing {

namespace {

using Events = std::vector<const Event*>;

bool is_maybe(const Event& e) {
    return e.end_ns == 0;
}
bool is_ok(const Event& e) {
    return !is_maybe(e) && e.status == KS_OK;
}
bool is_write(const Event& e) {
    return e.op == Op::kCommit || e.op == Op::kDelete;
}
std::uint64_t end_of(const Event& e) {
    return is_maybe(e) ? (e.died_ns != 0 ? e.died_ns : UINT64_MAX) : e.end_ns;
}
bool is_odd(std::uint64_t epoch) {
    return (epoch & 1u) != 0;
}

const char* name_of(Op op) {
    constexpr const char* kNames[] = {"read",    "commit",  "delete", "claim", "renew",
                                      "release", "reclaim", "watch",  "other"};
    return kNames[static_cast<int>(op)];
}

class KeyJudge {
public:
    KeyJudge(int key, Events events, std::uint64_t final_version, std::vector<std::string>& problems)
        : key_(key), events_(std::move(events)), final_version_(final_version), problems_(problems) {}

    void run() {
        for (const Event* e : events_) sort_in(*e);
        for (const Event* e : events_) {
            if (!is_maybe(*e)) outcome_is_true(*e);
        }
        values_belong_to_their_stamps();
        every_version_has_an_author();
        nothing_was_lost();
        only_owners_wrote();
        states_are_a_chain();
        leases_held();
    }

private:
    [[gnu::format(printf, 3, 4)]] void problem(const Event& e, const char* format, ...) {
        if (problems_.size() >= kProblemsMax) return;
        char text[300];
        va_list arguments;
        va_start(arguments, format);
        std::vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        char all[700];
        std::snprintf(all, sizeof all,
                      "%s\n    key %d, worker %u, %s%s%s %s in {%" PRIu64 ", %" PRIu64 "} out {%" PRIu64
                      ", %" PRIu64 "} value %" PRIx64 ", from %" PRIu64 " to %" PRIu64,
                      text, key_, e.worker, name_of(e.op), e.has_grant ? " under grant" : "",
                      e.is_releasing ? " and release" : "",
                      is_maybe(e) ? "(killed)" : ks_status_name(static_cast<ks_status>(e.status)),
                      e.in.version, e.in.epoch & kEpochMask, e.out.version, e.out.epoch & kEpochMask, e.value,
                      e.begin_ns, end_of(e));
        problems_.emplace_back(all);
    }
    static constexpr std::uint64_t kEpochMask = (std::uint64_t{1} << 39) - 1;

    void sort_in(const Event& e) {
        if (is_write(e) && is_maybe(e)) maybe_authors_.emplace(e.in.version + 1, &e);
        if (is_write(e) && is_ok(e)) {
            const auto [at, is_first] = authors_.emplace(e.out.version, &e);
            if (!is_first) problem(e, "ExactlyOneWinner: worker %u won this version too", at->second->worker);
        }
        if (e.op == Op::kClaim && is_ok(e)) {
            const auto [at, is_first] = owners_.emplace(e.out.epoch, &e);
            if (!is_first) problem(e, "OneOwnerPerEpoch: worker %u owned this epoch too", at->second->worker);
        }
    }

    void outcome_is_true(const Event& e) {
        if (e.is_torn) problem(e, "NoTornRead: bytes that nobody wrote");
        if (e.status < 0 || e.status == KS_BUSY) problem(e, "a fault that nobody asked for");
        if (!e.has_out) return;
        const std::uint64_t version = e.out.version, epoch = e.out.epoch;
        const bool is_of_nothing = e.in.version == 0 && e.in.epoch == 0;
        switch (e.status) {
            case KS_OK:
                if (is_write(e)) {
                    if (version != e.in.version + 1)
                        problem(e, "NoLostUpdate: it did not follow what it had seen");
                    const std::uint64_t now = e.in.epoch + (e.is_releasing ? 1 : 0);
                    if (epoch != now && !(is_of_nothing && !e.has_grant))
                        problem(e, "NoStaleApply: another epoch");
                    if (!e.has_grant && is_odd(epoch)) problem(e, "NoStaleApply: it wrote into a claim");
                }
                if (e.op == Op::kRelease && epoch != e.in.epoch + 1)
                    problem(e, "a release is one step of the epoch");
                if (e.op == Op::kRenew && epoch != e.in.epoch) problem(e, "renewed a claim that was over");
                if (e.op == Op::kClaim && !is_odd(epoch)) problem(e, "a claim with an even epoch");
                break;
            case KS_CONFLICT:
                if (version <= e.in.version)
                    problem(e, "OutcomeIsTrue: CONFLICT, but the version had not moved");
                break;
            case KS_FENCED:
                if (epoch <= e.in.epoch) problem(e, "OutcomeIsTrue: FENCED, but the epoch had not moved");
                break;
            case KS_HELD:
                if (!is_odd(epoch)) problem(e, "OutcomeIsTrue: HELD, but nobody holds it");
                break;
            default:
                break;
        }
    }

    // The id of the value at a version, as far as anybody knows. A killed author becomes known by what was
    // read.
    void values_belong_to_their_stamps() {
        for (const Event* e : events_) {
            if (e->op != Op::kRead || is_maybe(*e) || e->is_torn || e->out.version == 0) continue;
            if (e->status != KS_OK && e->status != KS_NOT_FOUND) continue;
            if (e->status == KS_OK && e->from_version + 1 != e->out.version) {
                problem(*e, "NoTornRead: a value that was computed from version %" PRIu64, e->from_version);
            }
            if (const auto author = authors_.find(e->out.version); author != authors_.end()) {
                if (author->second->value != e->value) {
                    problem(*e, "NoTornRead: that version's author wrote %" PRIx64, author->second->value);
                }
                continue;
            }
            adopt(*e);
        }
    }

    void adopt(const Event& read) {
        if (const auto known = adopted_.find(read.out.version); known != adopted_.end()) {
            if (known->second->value != read.value)
                problem(read, "ExactlyOneWinner: others read another value here");
            return;
        }
        const auto [from, to] = maybe_authors_.equal_range(read.out.version);
        const auto it =
            std::find_if(from, to, [&](const auto& at) { return at.second->value == read.value; });
        if (it == to) return problem(read, "a value that nobody wrote at this version");
        if (it->second->begin_ns > read.end_ns) problem(read, "real time: read before its author had begun");
        adopted_.emplace(read.out.version, it->second);
    }

    void every_version_has_an_author() {
        for (std::uint64_t version = 1; version <= final_version_; ++version) {
            if (authors_.contains(version) || maybe_authors_.contains(version)) continue;
            if (problems_.size() < kProblemsMax) {
                problems_.push_back("key " + std::to_string(key_) + ": version " + std::to_string(version) +
                                    " has no author");
            }
        }
        if (!authors_.empty() && authors_.rbegin()->first > final_version_) {
            problem(*authors_.rbegin()->second, "a commit that is gone: the last version is %" PRIu64,
                    final_version_);
        }
    }

    const Event* author_of(std::uint64_t version) const {
        if (const auto it = authors_.find(version); it != authors_.end()) return it->second;
        const auto it = adopted_.find(version);
        return it != adopted_.end() ? it->second : nullptr;
    }

    void nothing_was_lost() {
        for (std::uint64_t version = 2; version <= final_version_; ++version) {
            const Event* now = author_of(version);
            const Event* before = author_of(version - 1);
            if (now == nullptr || before == nullptr || !now->has_previous) continue;
            if (now->previous != before->value) {
                problem(*now, "NoLostUpdate: computed from value %" PRIx64 ", but %" PRIx64 " was there",
                        now->previous, before->value);
            }
        }
    }

    void only_owners_wrote() {
        for (const Event* e : events_) {
            if (!e->has_grant || !is_ok(*e)) continue;
            const auto owner = owners_.find(e->in.epoch);
            if (owner == owners_.end() || owner->second->worker != e->worker)
                problem(*e, "OneOwnerPerEpoch: not its owner");
        }
    }

    struct Seen {
        StampPair state;
        std::uint64_t begin, end;
        const Event* event;
    };

    // The state that a call saw or made, as a point somewhere between its begin and end. A key without a
    // version has one stamp, whatever became of its epoch.
    static std::optional<Seen> seen_by(const Event& e) {
        if (is_maybe(e) || !e.has_out || e.status < 0) return std::nullopt;
        const StampPair state = e.out.version == 0 ? StampPair{} : e.out;
        return Seen{state, e.begin_ns, e.end_ns, &e};
    }

    void states_are_a_chain() {
        std::vector<Seen> all;
        for (const Event* e : events_) {
            if (const auto seen = seen_by(*e)) all.push_back(*seen);
        }
        std::sort(all.begin(), all.end(), [](const Seen& a, const Seen& b) { return a.state < b.state; });
        std::uint64_t epoch = 0;  // the highest so far
        std::uint64_t began = 0;  // some call that saw an earlier state, or made a later one, began here
        const Event* who = nullptr;
        for (std::size_t i = 0; i < all.size();) {
            std::size_t next = i;
            for (; next < all.size() && all[next].state == all[i].state; ++next) {
                const Event& e = *all[next].event;
                const bool is_making =
                    is_ok(e) && e.out.version != 0 && (is_write(e) || e.op == Op::kRelease);
                if (is_making && e.begin_ns > began) began = e.begin_ns, who = &e;
            }
            for (std::size_t at = i; at < next; ++at) {
                if (all[at].state.epoch < epoch)
                    problem(*all[at].event, "VersionOnlyGrows: an epoch from before");
                if (all[at].end < began) {
                    problem(*all[at].event,
                            "real time: it ended before worker %u began a %s, at %" PRIu64
                            ", that still saw an earlier state, or made this one",
                            who->worker, name_of(who->op), began);
                }
            }
            for (std::size_t at = i; at < next; ++at) {
                epoch = std::max(epoch, all[at].state.epoch);
                if (all[at].begin > began) began = all[at].begin, who = all[at].event;
            }
            i = next;
        }
    }

    // Fenced although the lease ran: only by force, or by the owner himself.
    void leases_held() {
        std::map<std::uint64_t, std::uint64_t> forced;  // epoch -> first begin
        std::map<std::uint64_t, std::vector<const Event*>> leases;
        for (const Event* e : events_) {
            const bool may_end_it =
                (e->op == Op::kReclaim && e->is_forced) || e->op == Op::kRelease || e->is_releasing;
            if (may_end_it && (is_maybe(*e) || e->status == KS_OK)) {
                const auto [at, is_first] = forced.emplace(e->in.epoch, e->begin_ns);
                if (!is_first) at->second = std::min(at->second, e->begin_ns);
            }
            if (e->op == Op::kClaim && is_ok(*e)) leases[e->out.epoch].push_back(e);
            if (e->op == Op::kRenew && is_ok(*e)) leases[e->in.epoch].push_back(e);
        }
        for (const Event* e : events_) {
            if (!e->has_grant || is_maybe(*e) || e->status != KS_FENCED) continue;
            const auto taken = forced.find(e->in.epoch);
            if (taken != forced.end() && taken->second < e->end_ns) continue;
            const Event* last = nullptr;  // the owner's calls come one after the other
            for (const Event* lease : leases[e->in.epoch]) {
                const bool is_later = last == nullptr || lease->begin_ns > last->begin_ns;
                if (lease->end_ns <= e->begin_ns && is_later) last = lease;
            }
            if (last == nullptr) continue;
            const bool is_running =
                last->lease_ns == UINT64_MAX || e->end_ns < last->begin_ns + last->lease_ns;
            if (is_running)
                problem(*e, "LeaseHolds: fenced, but its lease was running and nobody used force");
        }
    }

    int key_;
    Events events_;
    std::uint64_t final_version_;
    std::vector<std::string>& problems_;
    std::map<std::uint64_t, const Event*> authors_, adopted_;
    std::multimap<std::uint64_t, const Event*> maybe_authors_;
    std::map<std::uint64_t, const Event*> owners_;
};

}  // namespace

std::vector<std::string> judge(const Events& events, const std::vector<std::uint64_t>& final_versions) {
    std::vector<std::string> problems;
    std::vector<Events> by_key(final_versions.size());
    for (const Event* e : events) {
        if (e->op != Op::kOther) {
            by_key.at(e->key).push_back(e);
        } else if (!is_maybe(*e) && e->status != KS_OK && problems.size() < kProblemsMax) {
            problems.push_back(std::string("a call that looks after the store answered ") +
                               ks_status_name(static_cast<ks_status>(e->status)));
        }
    }
    for (std::size_t key = 0; key < by_key.size(); ++key) {
        KeyJudge(static_cast<int>(key), std::move(by_key[key]), final_versions[key], problems).run();
    }
    return problems;
}

}  // namespace keystile::testing
