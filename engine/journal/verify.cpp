#include "journal/verify.hpp"

#include <algorithm>

namespace keystile::engine {

namespace {

class Verifier {
public:
    Verifier(const Directory& directory, Verification& verification)
        : directory_(directory), out_(verification) {}

    // kBusy: files came or went meanwhile, or are missing.
    Status run() {
        if (const Status s = survey(directory_, &survey_); s != Status::kOk) return s;
        if (const SurveyedCheckpoint* newest = survey_.newest_whole(); newest != nullptr)
            replay_from_ = newest->head.start;
        judge_mark();
        judge_checkpoints();
        for (std::size_t i = 0; i < survey_.journals.size(); ++i) {
            const SurveyedJournal& journal = survey_.journals[i];
            is_missing_ |= journal.is_missing;
            if (const Status s = judge_journal(i); s != Status::kOk) return s;
        }
        Blind nobody;
        out_.recovery_status = scan_history(directory_, ScanScope::kReplay, nobody, &out_.recovery);
        if (out_.recovery_status == Status::kJournalCorrupt) {
            add_refusal();
        } else if (out_.recovery_status != Status::kOk) {
            return out_.recovery_status;
        }
        has_seen_all_ = true;
        return is_missing_ ? own_fault(Status::kBusy) : Status::kOk;
    }
    // After kBusy: nothing but files that are missing kept it from an end.
    bool has_seen_all() const noexcept { return has_seen_all_; }

private:
    void add(const std::string& name, const Damage& damage, Cost cost) {
        out_.problems.push_back({directory_.path_of(name), damage, cost});
    }

    void judge_mark() {
        for (const Damage& damage : survey_.mark_damage) {
            if (damage.what != nullptr) add("mark", damage, Cost::kSpare);
        }
    }

    void judge_checkpoints() {
        for (const SurveyedCheckpoint& checkpoint : survey_.checkpoints) {
            ++out_.checkpoints;
            out_.checkpoint_entries += checkpoint.entries;
            if (!checkpoint.is_whole())
                add(checkpoint_name(checkpoint.start), checkpoint.damage, Cost::kSpare);
        }
    }

    // Does recovery read on from there?
    bool is_needed(std::uint32_t file, std::uint64_t offset) const noexcept {
        return std::pair(file, offset) >= std::pair(replay_from_.file, replay_from_.offset);
    }

    Status judge_journal(std::size_t index) {
        const SurveyedJournal& journal = survey_.journals[index];
        const std::string name = journal_name(journal.file);
        if (!journal.has_head())
            add(name, journal.damage, is_needed(journal.file, ~0ull) ? Cost::kLoss : Cost::kSpare);
        if (journal.is_missing) return Status::kOk;
        ++out_.journals;
        bool is_end = false;
        const std::uint64_t durable = survey_.durable_to(index, &is_end);
        JournalReading reading;
        reading.on_record = [&](const RecordHead&, const JournalPoint&) { ++out_.records; };
        reading.on_entry = [&](const RecordHead&, const EntryView&) { ++out_.entries; };
        reading.on_gap = [&](const Damage& damage, std::uint64_t to) {
            Cost cost = Cost::kTail;
            if (damage.offset < durable) cost = is_needed(journal.file, to - 1) ? Cost::kLoss : Cost::kSpare;
            add(name, damage, cost);
        };
        return read_journal(directory_, survey_, index, reading);
    }

    // What recovery refuses is told in its words, whatever else was found.
    void add_refusal() {
        const FileDamage& refused = out_.recovery.damage;
        for (Problem& problem : out_.problems) {
            if (problem.path != refused.path || problem.damage.offset != refused.damage.offset) continue;
            problem.cost = Cost::kLoss;
            return;
        }
        out_.problems.push_back({refused.path, refused.damage, Cost::kLoss});
    }

    const Directory& directory_;
    Verification& out_;
    Survey survey_;
    JournalPoint replay_from_{0, 0, 0};
    bool is_missing_ = false, has_seen_all_ = false;
};

}  // namespace

bool Verification::is_sound() const noexcept {
    return std::all_of(problems.begin(), problems.end(),
                       [](const Problem& problem) { return problem.cost == Cost::kTail; });
}

Status verify_history(const Directory& directory, Verification* verification_out) {
    bool has_seen_all = false;
    for (int tries = 0; tries < kLooksMax; ++tries) {
        *verification_out = {};
        Verifier verifier(directory, *verification_out);
        const Status s = verifier.run();
        if (s != Status::kBusy) return s;
        has_seen_all = verifier.has_seen_all();
    }
    // A file that is missing in each look is missing; a look that was cut short says nothing.
    return has_seen_all ? Status::kOk : own_fault(Status::kBusy);
}

}  // namespace keystile::engine
