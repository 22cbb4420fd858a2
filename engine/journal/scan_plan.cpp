#include "journal/scan_plan.hpp"

#include <algorithm>

#include "journal/missing.hpp"

namespace keystile::engine {

namespace {

class ScanPlanner {
public:
    ScanPlanner(const Directory& directory, ScanScope scope, std::optional<Position> newest, ScanPlan& plan,
                HistoryEnd& end) noexcept
        : directory_(directory), scope_(scope), newest_(newest), plan_(plan), end_(end) {}

    // kBusy: files came or went meanwhile, or are missing.
    Status run() noexcept {
        // The mark first: what it names is there when the list is made.
        Status s = read_mark(directory_, &plan_.mark);
        if (s == Status::kNotFound) s = Status::kOk;
        if (s == Status::kOk) s = directory_.list(&plan_.listing);
        if (s == Status::kOk && scope_ == ScanScope::kReplay) s = choose_checkpoint();
        if (s != Status::kOk) return s;
        if (plan_.listing.journals.empty() && plan_.listing.checkpoints.empty() && plan_.mark.store_id == 0)
            return own_fault(Status::kNoStore);
        return choose_files();
    }

private:
    Status damaged(const std::string& name, Damage damage) noexcept {
        end_.damage = {directory_.path_of(name), damage};
        return own_fault(Status::kJournalCorrupt);
    }
    // May be so for a moment only.
    Status missing(std::uint32_t file, const char* what) noexcept {
        damaged(journal_name(file), {0, what});
        plan_.is_cut_short = newest_.has_value();
        if (plan_.is_cut_short) return Status::kOk;
        return own_fault(Status::kBusy);
    }

    Status choose_checkpoint() noexcept {
        const auto& starts = plan_.listing.checkpoints;
        for (std::size_t i = starts.size(); i > 0 && !plan_.checkpoint; --i) {
            if (newest_ && starts[i - 1] > *newest_) continue;
            CheckpointReader reader;
            Status s = reader.open(directory_, starts[i - 1]);
            if (s == Status::kOk) s = reader.check();
            if (s == Status::kNoStore) return own_fault(Status::kBusy);
            if (s == Status::kJournalCorrupt) {
                if (end_.bad_checkpoint.is_none()) {
                    end_.bad_checkpoint = {directory_.path_of(checkpoint_name(starts[i - 1])),
                                           reader.damage()};
                }
                continue;
            }
            if (s != Status::kOk) return s;
            const CheckpointHead& head = reader.head();
            plan_.checkpoint = head;
            plan_.checkpoint_durable = reader.durable();
            end_.store_id = head.store_id;
            end_.incarnation = head.incarnation;
            end_.limit = head.limit;
            end_.end = head.start;
            end_.checkpoint = head.start.position;
        }
        return Status::kOk;
    }

    Status choose_files() noexcept {
        const auto& numbers = plan_.listing.journals;
        std::uint32_t next = numbers.empty() ? 0 : numbers.front();
        if (plan_.checkpoint) next = plan_.checkpoint->start.file;
        auto at = std::lower_bound(numbers.begin(), numbers.end(), next);
        if (at == numbers.end() && plan_.checkpoint) return missing(next, kCheckpointNamesIt);
        for (; at != numbers.end(); ++at, ++next) {
            if (*at != next) return missing(next, kLaterOneIsThere);
            JournalFile journal;
            Damage damage;
            const Status s = JournalFile::open(directory_, next, Access::kReadOnly, &journal, &damage);
            if (s == Status::kNoStore) return own_fault(Status::kBusy);
            if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
            if (s == Status::kOk) damage.what = problem_of(journal.head());
            if (damage.what != nullptr) {
                plan_.is_cut_short = true;
                damaged(journal_name(next), damage);
                break;
            }
            plan_.files.push_back(journal.head());
            end_.store_id = journal.head().store_id;
            end_.incarnation = journal.head().incarnation;
            end_.limit = std::max(end_.limit, journal.head().limit);
        }
        end_.file = numbers.empty() ? 0 : numbers.back();
        return plan_.is_cut_short ? Status::kOk : check_names();
    }

    // Does the head fit to what came before it?
    const char* problem_of(const JournalHead& head) const noexcept {
        if (end_.store_id != 0 && head.store_id != end_.store_id) return "its head is of another store";
        if (plan_.files.empty()) {
            if (scope_ == ScanScope::kReplay && !plan_.checkpoint && head.end_before != 0)
                return "files before it are gone, and no whole checkpoint replaces them";
            return nullptr;
        }
        return problem_after(plan_.files.back(), head);
    }

    // Is every file there that something names?
    Status check_names() noexcept {
        if (plan_.mark.store_id != end_.store_id && end_.store_id != 0) plan_.mark = {};  // a stranger's
        if (plan_.mark.store_id != 0 &&
            (plan_.files.empty() || plan_.mark.durable.file > plan_.files.back().file))
            return missing(plan_.mark.durable.file, kMarkNamesIt);
        if (plan_.checkpoint && plan_.checkpoint_durable.file > plan_.files.back().file)
            return missing(plan_.checkpoint_durable.file, kCheckpointNamesIt);
        return Status::kOk;
    }

    const Directory& directory_;
    ScanScope scope_;
    std::optional<Position> newest_;
    ScanPlan& plan_;
    HistoryEnd& end_;
};

}  // namespace

std::uint64_t ScanPlan::sound_to(std::size_t index, bool* is_end_out) const noexcept {
    *is_end_out = index + 1 < files.size();
    if (*is_end_out) return files[index + 1].end_before;
    std::uint64_t offset = 0;
    for (const JournalPoint& known : {mark.durable, checkpoint_durable}) {
        if (known.file == files[index].file) offset = std::max(offset, known.offset);
    }
    return offset;
}

Status plan_scan(const Directory& directory, ScanScope scope, std::optional<Position> newest,
                 ScanPlan* plan_out, HistoryEnd* end_out) noexcept {
    for (int tries = 0; tries < kLooksMax; ++tries) {
        *plan_out = {};
        *end_out = {};
        const Status s = ScanPlanner(directory, scope, newest, *plan_out, *end_out).run();
        if (s != Status::kBusy) return s;
    }
    return own_fault(end_out->damage.is_none() ? Status::kBusy : Status::kJournalCorrupt);
}

}  // namespace keystile::engine
