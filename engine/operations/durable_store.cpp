#include "operations/durable_store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <random>
#include <thread>

#include "operations/flush.hpp"
#include "operations/recover.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

constexpr std::uint64_t kRecoveryWaitNs = 60'000'000'000;  // for somebody else's
constexpr std::uint64_t kInUseWaitNs = 2'000'000'000;      // openers hold the shared lock for a moment
constexpr auto kPause = std::chrono::milliseconds(2);

// One directory, one name: what an earlier incarnation left under it is replaced.
Status segment_name(const Directory& directory, std::string* name_out) {
    struct stat found{};
    if (::stat(directory.path().c_str(), &found) != 0) return status_of_errno(errno);
    char name[64];
    std::snprintf(name, sizeof name, "keystile.file-%llx-%llx", static_cast<unsigned long long>(found.st_dev),
                  static_cast<unsigned long long>(found.st_ino));
    *name_out = name;
    return Status::kOk;
}

bool is_of_this_boot(const Directory& directory, const SegmentPlace& place) {
    std::string name;
    return place.boot_id[0] == self().boot_id[0] && place.boot_id[1] == self().boot_id[1] &&
           segment_name(directory, &name) == Status::kOk &&
           std::string_view(place.path).substr(place.path.rfind('/') + 1) == name;
}

SegmentSight look_for(const Directory& directory, const SegmentPlace& place) {
    if (is_reachable(directory, place)) return SegmentSight::kSeen;
    if (!is_of_this_boot(directory, place)) return SegmentSight::kNone;
    // In a folder of the same file system it would be seen.
    struct stat folder{};
    const bool is_there = ::stat(place.path.substr(0, place.path.rfind('/')).c_str(), &folder) == 0;
    return is_there && folder.st_dev == place.device ? SegmentSight::kNone : SegmentSight::kUnseen;
}

}  // namespace

bool is_reachable(const Directory& directory, const SegmentPlace& place) {
    struct stat found{};
    return is_of_this_boot(directory, place) && ::stat(place.path.c_str(), &found) == 0 &&
           found.st_dev == place.device && found.st_ino == place.inode;
}

namespace {

// Nothing of a store is there.
Status is_empty(const Directory& directory, bool* is_empty_out) noexcept {
    DirectoryListing listing;
    const Status s = directory.list(&listing);
    *is_empty_out = listing.journals.empty() && listing.checkpoints.empty();
    return s;
}

Status remove_history(const Directory& directory) {
    DirectoryListing listing;
    Status s = directory.list(&listing);
    const auto remove = [&](const std::string& name) {
        const Status removed = s == Status::kOk ? disk_unlink(directory.path_of(name)) : s;
        s = removed == Status::kNoStore ? Status::kOk : removed;
    };
    // The checkpoints first: a history whose journal is gone is none, one whose beginning is gone is damaged.
    for (const Position start : listing.checkpoints) remove(checkpoint_name(start));
    for (auto it = listing.journals.rbegin(); it != listing.journals.rend(); ++it) remove(journal_name(*it));
    for (const std::string& name : listing.half_made) remove(name);
    remove("mark");
    return s == Status::kOk ? directory.sync() : s;
}

Status lock(Directory& directory, LockKind kind, std::uint64_t wait_ns) noexcept {
    const Deadline deadline(wait_ns);
    for (;;) {  // bounded by the deadline
        const Status s = directory.try_lock(kind);
        if (s != Status::kBusy || deadline.left_ns() == 0) return s;
        // tidy-allow(sleep): a file lock has no event that could be awaited
        std::this_thread::sleep_for(kPause);
    }
}

// Nobody else has it open, or can.
Status open_alone(const std::string& path, Directory* directory_out, CloseOnFork* on_fork) {
    DirectoryOptions options;
    options.must_exist = true;
    if (const Status s = Directory::open(path, options, directory_out); s != Status::kOk) return s;
    on_fork->watch(directory_out->lock_file().fd());  // a child of another thread's fork would keep the lock
    const Status locked = lock(*directory_out, LockKind::kExclusive, 0);
    return locked == Status::kBusy ? own_fault(Status::kInUse) : locked;
}

Status name_segment(Directory& directory, const std::string& path, const Segment& segment) noexcept {
    struct stat found{};
    if (::stat(path.c_str(), &found) != 0) return status_of_errno(errno);
    const shm::Header& header = segment.header();
    return directory.write_place({header.store_id,
                                  header.incarnation,
                                  {self().boot_id[0], self().boot_id[1]},
                                  found.st_dev,
                                  found.st_ino,
                                  path});
}

// Under the exclusive lock: nobody has the store open.
Status recover(Directory& directory, const std::string& folder, const std::string& file,
               const SegmentOptions& options, Recovery* recovery_out) {
    recovery_out->was_needed = true;
    if (const Status s = directory.remove_half_made(); s != Status::kOk) return s;
    if (const Status s = make_segment(directory, folder, file, options, &recovery_out->history);
        s != Status::kOk)
        return s;
    KEYSTILE_CRASH_POINT("operations.recover.before_place");
    Segment made;
    SegmentOptions existing;
    existing.must_exist = true;
    if (const Status s = Segment::open(folder, file, existing, &made); s != Status::kOk) return s;
    return name_segment(directory, folder + "/" + file, made);
}

// The directory's place, with the shared lock held, and with a segment behind it.
Status find_or_make_segment(Directory& directory, const std::string& folder, const SegmentOptions& options,
                            SegmentPlace* place_out, Recovery* recovery_out) {
    std::string file;
    if (const Status s = segment_name(directory, &file); s != Status::kOk) return s;
    const Deadline deadline(kInUseWaitNs);
    std::minstd_rand ours(static_cast<std::uint_fast32_t>(::getpid()));
    std::uniform_int_distribution<int> pause(0, 7);
    for (;;) {  // bounded by the deadline
        if (const Status s = lock(directory, LockKind::kShared, kRecoveryWaitNs); s != Status::kOk) return s;
        std::optional<SegmentPlace> place;
        if (const Status s = find_segment(directory, &place); s != Status::kOk) return s;
        if (place) {
            *place_out = *place;
            return Status::kOk;
        }
        if (options.is_read_only) {
            (void)directory.unlock();
            return own_fault(Status::kNoStore);
        }
        const Status locked = directory.try_lock(LockKind::kExclusive);
        if (locked == Status::kOk) {
            // Somebody may have been faster.
            if (const Status s = find_segment(directory, &place); s != Status::kOk) return s;
            if (!place) {
                if (const Status s = recover(directory, folder, file, options, recovery_out);
                    s != Status::kOk)
                    return s;
            }
        } else if (locked != Status::kBusy) {
            return locked;
        } else if (deadline.left_ns() == 0) {
            return own_fault(Status::kDirectoryInUse);
        }
        // Two who want the exclusive lock must not hold the shared one against each other.
        if (locked == Status::kBusy) {
            if (const Status s = directory.unlock(); s != Status::kOk) return s;
            // Nor may they come back in step: each rests for a time of his own.
            std::this_thread::sleep_for(kPause * (1 + pause(ours)));  // tidy-allow(sleep): as above
        }
    }
}

void take_label(Store& store) noexcept {
    const shm::Participant& record = *store.segment.participant(store.self.index);
    std::size_t words = 0;
    for (std::size_t i = 0; i < std::size(store.label.label); ++i) {
        store.label.label[i] = peek(record.label[i]);
        if (store.label.label[i] != 0) words = i + 1;
    }
    store.label.word = words;
}

}  // namespace

Status open_durable_store(const std::string& path, const std::string& segment_folder,
                          const SegmentOptions& options, const std::string& label, Store* store_out,
                          Recovery* recovery_out) {
    DirectoryOptions directory_options;
    directory_options.must_exist = options.must_exist || options.is_read_only;
    directory_options.is_read_only = options.is_read_only;
    directory_options.has_group = options.has_group;
    directory_options.group = options.group;
    Directory directory;
    if (const Status s = Directory::open(path, directory_options, &directory); s != Status::kOk) return s;
    if (options.must_create || options.must_exist) {
        bool is_new = false;
        if (const Status s = is_empty(directory, &is_new); s != Status::kOk) return s;
        if (options.must_create && !is_new) return own_fault(Status::kExists);
        if (options.must_exist && is_new) return own_fault(Status::kNoStore);
    }
    SegmentPlace place;
    Status found = find_or_make_segment(directory, segment_folder, options, &place, recovery_out);
    if (found == Status::kNoStore && options.is_read_only) {
        // Who only wants to read makes the segment too, if he may.
        SegmentOptions writing = options;
        writing.is_read_only = false;
        writing.must_exist = true;
        Store maker;
        found = open_durable_store(path, segment_folder, writing, label, &maker, recovery_out);
        if (found != Status::kOk) return found;
        close_store(maker);
        found = find_or_make_segment(directory, segment_folder, options, &place, recovery_out);
    }
    if (found != Status::kOk) return found;
    SegmentOptions attaching = options;
    attaching.must_exist = true;
    attaching.must_create = false;
    const std::size_t slash = place.path.rfind('/');
    const Status s =
        open_store(place.path.substr(0, slash), place.path.substr(slash + 1), attaching, label, store_out);
    if (s != Status::kOk) return s;
    if (options.is_read_only) return Status::kOk;
    close_on_fork(directory.lock_file().fd());
    store_out->writer = std::make_unique<Writer>(std::move(directory));
    take_label(*store_out);
    return Status::kOk;
}

Status find_segment(const Directory& directory, std::optional<SegmentPlace>* place_out) {
    const Status s = directory.read_place(place_out);
    if (s == Status::kOk && *place_out && !is_reachable(directory, **place_out)) place_out->reset();
    return s;
}

Status destroy_durable_store(const std::string& path, bool is_forced) {
    Directory directory;
    CloseOnFork on_fork;
    std::optional<SegmentPlace> place;
    const Status alone = open_alone(path, &directory, &on_fork);
    const bool is_in_use = alone == Status::kInUse;
    if (alone != Status::kOk && !(is_in_use && is_forced)) return alone;
    if (const Status s = find_segment(directory, &place); s != Status::kOk) return s;
    // Who cannot be told of it would go on writing.
    if (is_in_use && !place) return own_fault(Status::kInUse);
    if (place) {
        const std::size_t slash = place->path.rfind('/');
        condemn_segment(place->path.substr(0, slash), place->path.substr(slash + 1));
    }
    KEYSTILE_CRASH_POINT("operations.destroy.before_history");
    if (const Status s = remove_history(directory); s != Status::kOk) return s;
    KEYSTILE_CRASH_POINT("operations.destroy.before_segment");
    if (place) remove_file(place->path);
    // The last, for it names the segment: so a second call can end what was begun.
    const Status s = disk_unlink(directory.path_of("lock"));
    return s == Status::kOk || s == Status::kNoStore ? directory.sync() : s;
}

Status plan_store_repair(const std::string& path, StoreRepair* repair_out) {
    Status s = open_alone(path, &repair_out->directory, &repair_out->on_fork);
    if (s == Status::kOk) s = repair_out->directory.read_place(&repair_out->place);
    if (s != Status::kOk) return s;
    if (repair_out->place) repair_out->segment = look_for(repair_out->directory, *repair_out->place);
    return plan_repair(repair_out->directory, &repair_out->plan);
}

Status do_store_repair(StoreRepair& repair) {
    if (repair.plan.is_needed && repair.place) {
        // First of all, and seen from here or not: who finds the old segment where it can be seen would go on in a file
        // that is aside. What it promised stays said. Whoever dies behind this leaves a damaged store without a
        // segment, which the next repair finds as this one did.
        SegmentPlace nowhere;
        nowhere.store_id = repair.place->store_id;
        nowhere.incarnation = repair.place->incarnation;
        if (const Status s = repair.directory.write_place(nowhere); s != Status::kOk) return s;
    }
    if (repair.plan.is_needed && repair.place && repair.segment == SegmentSight::kSeen) {
        const Status s = remove_file(repair.place->path);
        if (s != Status::kOk && s != Status::kNoStore) return s;
    }
    return do_repair(repair.directory, std::move(repair.plan));
}

}  // namespace keystile::engine
