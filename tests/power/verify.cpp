// The verifier: opens the directory afterwards, on a system that says yes to everything, and holds what is there
// against what was reported.
//
//   Sound      ks_verify finds nothing but a torn tail, before and after; ks_check finds nothing.
//   Acked      every lane holds at least what was said to be on disk.
//   Prefix     each lane is in a state of its history; and if a commit is there, every commit of a lower lsn is, also
//              those of other lanes.
//   Versions   what is there has the lsn that it was reported with; the next commit's is above all that ever were.
//   Tokens     the next claim's token is above all that were given out.
#include <algorithm>
#include <vector>

#include "power/store.hpp"

namespace keystile::power {

namespace {

constexpr std::uint64_t kUnreportedMax = 1 << 20;
constexpr int kCommits = 2;  // behind what was found

std::string text(std::uint64_t number) {
    return std::to_string(number);
}

void collect(void* to, const ks_damage* damage) {
    *static_cast<std::string*>(to) +=
        std::string("; ") + damage->path + " at " + text(damage->offset) + ": " + damage->what;
}

class Verifier {
public:
    explicit Verifier(const Options& options) : options_(options) {}

    int run() {
        read_report(options_.report, &told_);
        told_.lanes.resize(std::max<std::size_t>(told_.lanes.size(), options_.lanes));
        if (!report_.open(options_.report)) return finding("the report cannot be opened");
        int code = judge_files("before recovery");
        if (code != kDone) return code;
        ks_store* store = nullptr;
        ks_session* session = nullptr;
        if (const ks_status s = open(options_, &store); s != KS_OK) return refused("ks_open", s);
        if (const ks_status s = ks_session_open(store, &session); s != KS_OK)
            return refused("ks_session_open", s);
        code = judge(session);
        for (unsigned lane = 0; code == kDone && lane < told_.lanes.size(); ++lane)
            code = go_on(session, lane);
        if (code == kDone && ks_check(store, nullptr, nullptr, nullptr) != KS_OK)
            code = finding("ks_check finds damage");
        ks_close(store);
        return code == kDone ? judge_files("after recovery") : code;
    }

private:
    static int refused(const std::string& call, ks_status s) {
        return finding(call + " answers " + ks_status_name(s) + ": " + ks_last_error());
    }

    bool is_anything_durable() const {
        return std::any_of(told_.lanes.begin(), told_.lanes.end(),
                           [](const LaneReport& l) { return l.durable != 0; });
    }

    int judge_files(const std::string& when) const {
        std::string damage;
        const ks_status s = ks_verify(url_of(options_).c_str(), collect, &damage, nullptr);
        if (s == KS_OK || (s == KS_E_NO_STORE && !is_anything_durable())) return kDone;
        return finding("ks_verify " + when + " answers " + ks_status_name(s) + damage);
    }

    int judge(ks_session* session) {
        std::uint64_t last_lsn = 0;
        for (unsigned lane = 0; lane < told_.lanes.size(); ++lane) {
            Seen seen;
            if (const ks_status s = see(session, lane, &seen); s != KS_OK) return refused("a read", s);
            if (!seen.wrong.empty()) return finding(seen.wrong);
            if (const int code = judge_lane(lane, seen); code != kDone) return code;
            last_lsn = std::max(last_lsn, seen.last_lsn);
        }
        for (unsigned lane = 0; lane < told_.lanes.size(); ++lane) {
            for (const auto& [number, lsn] : told_.lanes[lane].lsn) {
                if (lsn > last_lsn || number <= found_[lane]) continue;
                return finding("commit " + text(number) + " of lane " + text(lane) + ", lsn " + text(lsn) +
                               ", is not there, and one of lsn " + text(last_lsn) + " is");
            }
        }
        return kDone;
    }

    int judge_lane(unsigned lane, const Seen& seen) {
        const LaneReport& told = told_.lanes[lane];
        const std::string name = "lane " + text(lane);
        const std::uint64_t newest = seen.lsn.empty() ? 0 : seen.lsn.rbegin()->first;
        if (newest > kUnreportedMax) return finding(name + " has a number that cannot be");
        const std::int64_t number = History(lane).find(seen.state, newest + kUnseenMax);
        if (number < 0) return finding(name + " is in no state of its history");
        found_.push_back(static_cast<std::uint64_t>(number));
        if (found_.back() < told.durable) {
            return finding(name + " is at " + text(found_.back()) + ", and commit " + text(told.durable) +
                           " was said to be on disk");
        }
        std::uint64_t before = 0;
        for (const auto& [made, lsn] : seen.lsn) {
            const auto it = told.lsn.find(made);
            if (it != told.lsn.end() && it->second != lsn) {
                return finding("commit " + text(made) + " of " + name + " was of lsn " + text(it->second) +
                               " and is of lsn " + text(lsn));
            }
            if (lsn <= before) return finding(name + " has lsns out of order");
            before = lsn;
        }
        return kDone;
    }

    // A claim, and commits behind what was found; reported, for the next life is judged by them too.
    int go_on(ks_session* session, unsigned lane) {
        std::uint64_t epoch = 0;
        if (const ks_status s = claim(session, lane, &epoch); s != KS_OK) return refused("ks_claim", s);
        if (epoch <= told_.lanes[lane].token) {
            return finding("token " + text(epoch) + " of lane " + text(lane) + " comes after " +
                           text(told_.lanes[lane].token));
        }
        report_.token(lane, epoch);
        report_.from(lane, found_[lane]);
        for (std::uint64_t n = found_[lane] + 1; n <= found_[lane] + kCommits; ++n) {
            std::uint64_t lsn = 0;
            if (const ks_status s = commit(session, lane, n, &lsn); s != KS_OK) return refused("a commit", s);
            if (lsn <= told_.last_lsn)
                return finding("lsn " + text(lsn) + " is issued, and " + text(told_.last_lsn) +
                               " was before");
            report_.made(lane, n, lsn);
            if (step_of(lane, n).is_durable) report_.durable(lane, n);
        }
        return kDone;
    }

    const Options& options_;
    Report report_;
    Told told_;
    std::vector<std::uint64_t> found_;  // by lane
};

}  // namespace

int verify(const Options& options) {
    return Verifier(options).run();
}

}  // namespace keystile::power
