#include "operations/durable_end.hpp"

#include <sys/stat.h>
#include <time.h>

#include <algorithm>

namespace keystile::engine {

namespace {

// Of a segment: soon, and then less and less often, until the directory is looked at, too.
constexpr std::uint64_t kFilePollNs = 1'000'000, kFilePollNsMax = 8'000'000, kLookNs = 100'000'000;
constexpr std::uint64_t kFilesNs = 20'000'000;  // where there are only files to look at

bool is_possible(const JournalPoint& durable) noexcept {
    const std::uint64_t offset = durable.offset & ~kPendingBit;
    return durable.position != 0 && durable.file != 0 && offset % 8 == 0 &&
           (durable.offset != offset || offset >= kJournalHeadBytes);
}

std::int64_t ns_of(const timespec& time) noexcept {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

// By the clock that files are stamped with.
std::int64_t file_clock_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return ns_of(now);
}

// Not the time of modification: anybody may set that one.
std::int64_t changed_ns(const std::string& path) noexcept {
    struct stat found{};
    return ::stat(path.c_str(), &found) == 0 ? ns_of(found.st_ctim) : 0;
}

}  // namespace

DurableEnd::Changed DurableEnd::last_change(const Directory& directory, std::uint32_t file) {
    return {changed_ns(directory.path()), changed_ns(directory.path_of(journal_name(file)))};
}

void DurableEnd::forget() noexcept {
    abandoned_.reset();
    damage_ = {};
}

// The segment that the directory names, if it can be seen from here.
Status DurableEnd::attach(const Directory& directory, const std::optional<SegmentPlace>& place) {
    if (place != place_) {
        place_ = place;
        segment_.reset();
        forget();
    }
    if (!place || !is_reachable(directory, *place)) {
        segment_.reset();
        return Status::kOk;
    }
    if (segment_ != nullptr) return Status::kOk;
    SegmentOptions options;
    options.must_exist = options.is_read_only = true;
    const std::size_t slash = place->path.rfind('/');
    auto segment = std::make_unique<Segment>();
    const Status s =
        Segment::open(place->path.substr(0, slash), place->path.substr(slash + 1), options, segment.get());
    if (s == Status::kNoStore) return Status::kOk;  // gone meanwhile
    if (s != Status::kOk) return s;
    // A recovery gives the same name to the next one before it writes `lock`.
    if (segment->header().store_id == place->store_id && segment->header().incarnation == place->incarnation)
        segment_ = std::move(segment);
    return Status::kOk;
}

Status DurableEnd::read_segment(JournalPoint* end_out) noexcept {
    const JournalPoint durable = load_durable(*segment_);
    if (!is_possible(durable)) return own_fault(Status::kCorrupt);
    *end_out = durable;
    return Status::kOk;
}

Status DurableEnd::read_abandoned(const Directory& directory, const std::optional<SegmentPlace>& place,
                                  JournalPoint* end_out) {
    damage_ = {};
    const std::int64_t begin_ns = file_clock_ns();
    HistoryEnd history;
    Blind blind;
    Status s = scan_history(directory, ScanScope::kReplay, blind, &history);
    if (s == Status::kBusy) return Status::kOk;  // files come and go: somebody is there
    if (s != Status::kOk && s != Status::kJournalCorrupt) return s;
    FileDamage damage = history.damage;
    if (history.end.file != 0) {
        // What the dead wrote may be in the kernel's memory alone. (E1 says what this cannot do.)
        JournalFile last;
        Damage head;
        s = JournalFile::open(directory, history.end.file, Access::kReadOnly, &last, &head);
        if (s == Status::kJournalCorrupt && damage.is_none())
            damage = {directory.path_of(journal_name(history.end.file)), head};
        if (s == Status::kNoStore && damage.is_none()) return Status::kOk;  // it went away meanwhile
        if (s == Status::kNoStore || s == Status::kJournalCorrupt) {
            history.end = {};  // nothing is known of a file that is itself what is damaged
        } else {
            if (s == Status::kOk) s = last.sync_data();
            if (s != Status::kOk) return s;
        }
    }
    // Whoever came meanwhile writes what is not on disk yet.
    std::optional<SegmentPlace> now;
    if (s = directory.read_place(&now); s != Status::kOk) return s;
    if (now != place || (now && is_reachable(directory, *now)) || directory.is_locked_by_other())
        return Status::kOk;
    // A change as young as the scan may have come after it, and the next one have the same time: then look again.
    const Changed changed = last_change(directory, history.file);
    if (std::max(changed.folder_ns, changed.file_ns) < begin_ns) {
        abandoned_ = history.end;
        abandoned_file_ = history.file;
        changed_ = changed;
    }
    damage_ = damage;
    *end_out = history.end;
    return Status::kOk;
}

Status DurableEnd::look(const Directory& directory, JournalPoint* end_out) {
    *end_out = {};
    std::optional<SegmentPlace> place;
    Status s = directory.read_place(&place);
    if (s == Status::kOk) s = attach(directory, place);
    if (s != Status::kOk) return s;
    if (abandoned_ && changed_ != last_change(directory, abandoned_file_)) forget();
    if (segment_ != nullptr) {
        forget();
        s = read_segment(end_out);
    } else if (directory.is_locked_by_other()) {
        forget();
        Mark mark;
        s = read_mark(directory, &mark);
        if (s == Status::kOk && (!place || mark.store_id == place->store_id)) *end_out = mark.durable;
        if (s == Status::kNotFound) s = Status::kOk;
    } else if (abandoned_) {
        *end_out = *abandoned_;
    } else {
        s = read_abandoned(directory, place, end_out);
    }
    last_ = *end_out;
    return s;
}

void DurableEnd::wait(std::uint64_t timeout_ns) const noexcept {
    if (segment_ == nullptr) {
        shm::Atomic32 nobody{0};  // what wakes us: nothing but the time
        return futex_wait(nobody, 0, std::min(timeout_ns, kFilesNs));
    }
    // A read-only mapping cannot set the waiters' bit: it hears of what others wait for, and looks by itself.
    shm::Atomic32& turn = segment_->header().durable_turn;
    const Deadline deadline(std::min(timeout_ns, kLookNs));
    for (std::uint64_t pause_ns = kFilePollNs;;
         pause_ns = std::min(2 * pause_ns, kFilePollNsMax)) {  // by the deadline
        const std::uint32_t seen = peek(turn);
        if (load_durable(*segment_) != last_) return;
        const std::uint64_t left_ns = deadline.left_ns();
        if (left_ns == 0) return;
        futex_wait(turn, seen, std::min(left_ns, pause_ns));
    }
}

}  // namespace keystile::engine
