// The writer: each lane goes on where the store stands, makes its commits, and reports what it was told.
//
// A call that fails is made again. What is not promised (a status that names no fault of the system, a state that is
// none of the history) is a finding.
#include <algorithm>
#include <thread>
#include <vector>

#include "power/mutants.hpp"
#include "power/store.hpp"

namespace keystile::power {

namespace {

// What keystile.h says of a system that says no.
bool is_promised(ks_status s) {
    switch (s) {
        case KS_BUSY:
        case KS_E_SYSTEM:
        case KS_E_FULL:
        case KS_E_MEMORY:
        case KS_E_JOURNAL:
        case KS_E_DIRECTORY_IN_USE:  // of two who open it at once, one of whom fails
            return true;
        default:
            return false;
    }
}

class Lane {
public:
    Lane(const Options& options, ks_store* store, Report& report, unsigned number)
        : options_(options), store_(store), report_(report), lane_(number), history_(number) {}

    int run() {
        int code = repeat("ks_session_open", [this] { return ks_session_open(store_, &session_); });
        std::int64_t start = -1;
        if (code == kDone) code = stand(~0ull >> 1, &start);
        if (code != kDone) return code;
        report_.from(lane_, static_cast<std::uint64_t>(start));
        const std::uint64_t first = static_cast<std::uint64_t>(start) + 1;
        for (std::uint64_t n = first; code == kDone && n < first + options_.commits; ++n) code = make(n);
        const std::uint64_t last = first + options_.commits - 1;
        if (code == kDone) code = flush(last);
        ks_session_close(session_);
        return code;
    }

private:
    template <class Call>
    int repeat(const char* name, Call call) {
        for (int tries = 0; tries < options_.tries; ++tries) {
            const ks_status s = call();
            if (s == KS_OK) return kDone;
            report_.failed(name, s);
            if (!is_promised(s)) return finding(std::string(name) + " answers " + ks_status_name(s));
        }
        return kGaveUp;
    }

    // How far the store is, between what it was last and `most`.
    int stand(std::uint64_t most, std::int64_t* number_out) {
        Seen seen;
        if (const ks_status s = see(session_, lane_, &seen); s != KS_OK)
            return finding(std::string("a read answers ") + ks_status_name(s));
        if (!seen.wrong.empty()) return finding(seen.wrong);
        const std::uint64_t newest = seen.lsn.empty() ? 0 : seen.lsn.rbegin()->first;
        *number_out = history_.find(seen.state, std::min(most, newest + kUnseenMax));
        return *number_out >= 0 ? kDone
                                : finding("lane " + std::to_string(lane_) + " is in no state of its history");
    }

    int make(std::uint64_t n) {
        const Step step = step_of(lane_, n);
        for (int tries = 0; tries < options_.tries; ++tries) {
            std::uint64_t lsn = 0;
            const ks_status s = commit(session_, lane_, n, &lsn);
            if (s == KS_OK) {
                report_.made(lane_, n, lsn);
                if (step.is_durable) report_.durable(lane_, n);
                return follow(step, n);
            }
            report_.failed("commit", s);
            if (!is_promised(s)) return finding(std::string("a commit answers ") + ks_status_name(s));
            std::int64_t number = 0;
            if (const int code = stand(n, &number); code != kDone) return code;
            if (number == static_cast<std::int64_t>(n)) {  // done, and not known to be on disk
                report_.made(lane_, n, 0);
                return follow(step, n);
            }
            if (number != static_cast<std::int64_t>(n) - 1)
                return finding("a commit that failed undid others");
        }
        return kGaveUp;
    }

    int follow(const Step& step, std::uint64_t n) {
        int code = kDone;
        if (step.has_flush) code = flush(n);
        if (step.has_checkpoint && code == kDone) {
            code = repeat("ks_checkpoint", [this] { return ks_checkpoint(store_); });
            if (code == kDone) report_.durable(lane_, n);
        }
        if (step.has_claim && code == kDone) {
            std::uint64_t epoch = 0;
            code = repeat("ks_claim", [&] { return claim(session_, lane_, &epoch); });
            if (code == kDone) report_.token(lane_, epoch);
        }
        return code;
    }

    int flush(std::uint64_t n) {
        if (mutant == Mutant::kEarlyReport) return kDone;
        const int code = repeat("ks_flush", [this] { return ks_flush(store_); });
        if (code == kDone) report_.durable(lane_, n);
        return code;
    }

    const Options& options_;
    ks_store* store_;
    Report& report_;
    unsigned lane_;
    History history_;
    ks_session* session_ = nullptr;
};

}  // namespace

int write(const Options& options) {
    Report report;
    bool has_report = false;
    for (int tries = 0; tries < options.tries && !has_report; ++tries)
        has_report = report.open(options.report);
    if (!has_report) return kGaveUp;
    ks_store* store = nullptr;
    for (int tries = 0; store == nullptr; ++tries) {
        const ks_status s = open(options, &store);
        if (s == KS_OK) break;
        report.failed("ks_open", s);
        if (!is_promised(s)) return finding(std::string("ks_open answers ") + ks_status_name(s));
        if (tries + 1 == options.tries) return kGaveUp;
    }
    std::vector<int> codes(options.lanes, kDone);
    std::vector<std::thread> threads;
    const auto run = [&](unsigned i) {
        codes[i] = Lane(options, store, report, options.first_lane + i).run();
    };
    for (unsigned i = 1; i < options.lanes; ++i) threads.emplace_back(run, i);
    run(0);
    for (std::thread& thread : threads) thread.join();
    ks_close(store);
    return *std::max_element(codes.begin(), codes.end());
}

}  // namespace keystile::power
