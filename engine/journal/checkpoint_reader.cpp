#include "journal/checkpoint_reader.hpp"

#include <cstring>

namespace keystile::engine {

namespace {

constexpr std::size_t kEndWords = 3;

const char* problem_of(const disk::CheckpointHead& head, Position start) noexcept {
    if (head.magic != kCheckpointMagic) return "no checkpoint begins so";
    if (head.checksum != XXH3_64bits(&head, offsetof(disk::CheckpointHead, checksum)))
        return "the checksum of its head is wrong";
    if (head.start != start) return "its head is of another checkpoint";
    if (head.incarnation == 0 || head.incarnation >> 24 != 0) return "its head's incarnation is impossible";
    if (head.start == 0 || head.limit > kPositionMax || head.start > head.limit)
        return "its head's positions are impossible";
    if (head.file > kJournalFileMax || head.offset < kJournalHeadBytes || head.offset % 8 != 0)
        return "its head's place in the journal is impossible";
    return nullptr;
}

}  // namespace

Status CheckpointReader::open(const Directory& directory, Position start) noexcept {
    Status s = disk_open(directory.path_of(checkpoint_name(start)), Access::kReadOnly, &file_);
    if (s == Status::kOk) s = window_.open(file_);
    if (s != Status::kOk) return s;
    disk::CheckpointHead head{};
    const std::byte* bytes = window_.at(0, sizeof head);
    if (fault() != Status::kOk) return fault();
    if (bytes != nullptr) std::memcpy(&head, bytes, sizeof head);
    if (head.magic != kCheckpointMagic && ((head.magic ^ kCheckpointMagic) & kAnyVersion) == 0)
        return own_fault(Status::kLayout);
    const char* what = bytes != nullptr ? problem_of(head, start) : "its head is cut off";
    if (what != nullptr) {
        damage_ = {0, what};
        return own_fault(Status::kJournalCorrupt);
    }
    head_ = {head.store_id,
             head.incarnation,
             {head.start, static_cast<std::uint32_t>(head.file), head.offset},
             head.limit,
             head.wall_ns};
    rewind();
    return Status::kOk;
}

void CheckpointReader::rewind() noexcept {
    at_ = sizeof(disk::CheckpointHead);
    entries_ = 0;
}

Status CheckpointReader::check() noexcept {
    for (;;) {  // bounded by the file's length
        EntryView entry;
        switch (next(&entry)) {
            case Finding::kOne:
                break;
            case Finding::kEnd:
                rewind();
                return Status::kOk;
            case Finding::kDamaged:
                return own_fault(Status::kJournalCorrupt);
            case Finding::kFault:
                return fault();
        }
    }
}

Finding CheckpointReader::broken(const char* what) noexcept {
    if (fault() != Status::kOk) return Finding::kFault;
    damage_ = {at_, what};
    return Finding::kDamaged;
}

Finding CheckpointReader::next(EntryView* entry_out) noexcept {
    EntryHead head;
    // A file without an end is cut off: it got its name by other means than ours.
    const Finding found = read_entry_head(window_, at_, window_.bytes(), &head, &damage_);
    if (found != Finding::kOne) return found;
    const std::uint64_t bytes = entry_bytes(head.key_size, head.value_size);
    const std::byte* all = window_.at(at_, bytes + sizeof(std::uint64_t));
    if (all == nullptr) return broken("an entry is cut off");
    const std::uint64_t sum =
        XXH3_64bits_withSeed(all, bytes, checkpoint_seed(head_.store_id, head_.start.position));
    if (std::memcmp(all + bytes, &sum, sizeof sum) != 0) return broken("an entry's checksum is wrong");
    if (!view_entry(window_, at_, head, entry_out)) return broken("it cannot be read");
    at_ += bytes + sizeof sum;
    if (head.key_size == 0) return read_end(*entry_out);
    if (head.version == 0) return broken("an entry was never written");
    ++entries_;
    return Finding::kOne;
}

Finding CheckpointReader::read_end(const EntryView& end) noexcept {
    std::uint64_t words[kEndWords];
    if (end.head.value_size != sizeof words) return broken("its end is no end");
    std::memcpy(words, end.value, sizeof words);
    if (end.head.version != entries_) return broken("its end counts other entries");
    if (words[0] < head_.start.position || words[0] > head_.limit || words[1] < head_.start.file ||
        words[1] > kJournalFileMax || words[2] < kJournalHeadBytes || words[2] % 8 != 0) {
        return broken("its end is impossible");
    }
    if (at_ != window_.bytes()) return broken("something lies behind its end");
    durable_ = {words[0], static_cast<std::uint32_t>(words[1]), words[2]};
    return Finding::kEnd;
}

}  // namespace keystile::engine
