#include "journal/record_reader.hpp"

#include <algorithm>
#include <cstring>

namespace keystile::engine {

namespace {

constexpr std::uint64_t kPieceBytes = 256 * 1024;  // of a long record, hashed at a time
constexpr std::uint64_t kEpochBits = 39;           // as in the slot's word
constexpr std::uint64_t kRecordBytesMin = record_bytes(0, entry_bytes(1, 0));
constexpr std::uint64_t kRecordBytesMax =
    record_bytes(kLabelBytes / 8, kMultiKeysMax* entry_bytes(kKeyBytesMax, kValueBytesMax));

const char* problem_of(const disk::EntryHead& head) noexcept {
    if (head.key_size > kKeyBytesMax) return "an entry's key is too long";
    if (head.value_size > kValueBytesMax) return "an entry's value is too long";
    if ((head.flags & ~std::uint32_t{kEntryDeleted | kEntryEpochMoved}) != 0)
        return "an entry has unknown flags";
    if ((head.flags & kEntryDeleted) != 0 && head.value_size != 0)
        return "an entry is deleted and has a value";
    if (head.version > kPositionMax || head.epoch >> kEpochBits != 0) return "an entry's stamp is impossible";
    return nullptr;
}

}  // namespace

Finding read_entry_head(FileWindow& window, std::uint64_t offset, std::uint64_t end, EntryHead* head_out,
                        Damage* damage_out) noexcept {
    const auto broken = [&](const char* what) {
        *damage_out = {offset, what};
        return Finding::kDamaged;
    };
    disk::EntryHead head;
    const std::byte* bytes = window.at(offset, sizeof head);
    if (bytes == nullptr)
        return window.status() != Status::kOk ? Finding::kFault : broken("an entry is cut off");
    std::memcpy(&head, bytes, sizeof head);
    if (const char* what = problem_of(head); what != nullptr) return broken(what);
    if (entry_bytes(head.key_size, head.value_size) > end - offset)
        return broken("an entry is longer than its place");
    *head_out = {head.key_size, head.value_size, head.version, head.epoch, head.flags};
    return Finding::kOne;
}

bool view_entry(FileWindow& window, std::uint64_t offset, const EntryHead& head,
                EntryView* entry_out) noexcept {
    const std::byte* bytes = window.at(offset, entry_bytes(head.key_size, head.value_size));
    if (bytes == nullptr) return false;
    entry_out->head = head;
    entry_out->key = bytes + sizeof(disk::EntryHead);
    entry_out->value = entry_out->key + round_up(head.key_size, 8);
    return true;
}

Finding RecordReader::broken(std::uint64_t offset, const char* what) noexcept {
    if (window_.status() != Status::kOk) return Finding::kFault;
    damage_ = {offset, what};
    return Finding::kDamaged;
}

Finding RecordReader::read_head() noexcept {
    const std::uint64_t left = window_.bytes() > at_ ? window_.bytes() - at_ : 0;
    std::uint64_t first = 0;
    const std::size_t some = std::min<std::uint64_t>(left, sizeof first);
    const std::byte* bytes = window_.at(at_, some);
    if (left != 0 && bytes == nullptr) return broken(at_, "it cannot be read");
    if (left != 0) std::memcpy(&first, bytes, some);
    if (first == 0) return Finding::kEnd;

    disk::RecordHead head;
    bytes = left >= kRecordBytesMin ? window_.at(at_, sizeof head) : nullptr;
    if (bytes == nullptr) return broken(at_, "a record is cut off");
    std::memcpy(&head, bytes, sizeof head);
    if (head.magic != kRecordMagic) return broken(at_, "no record begins here");
    if (head.entries == 0 || head.entries > kMultiKeysMax)
        return broken(at_, "a record's count of entries is impossible");
    if (head.position == 0 || head.position > kPositionMax)
        return broken(at_, "a record's position is impossible");
    record_ = {head.position, {head.signature, {}}, head.entries, head.bytes};
    const std::size_t words = record_.signature.label_words();
    if (words > kLabelBytes / 8) return broken(at_, "a record's label is too long");
    if (head.bytes % 8 != 0 || head.bytes > kRecordBytesMax ||
        head.bytes < record_bytes(words, head.entries * entry_bytes(1, 0))) {
        return broken(at_, "a record's length is impossible");
    }
    if (head.bytes > left) return broken(at_, "a record is cut off");
    bytes = window_.at(at_ + sizeof head, words * 8);
    if (bytes == nullptr) return broken(at_, "it cannot be read");
    std::memcpy(record_.signature.label, bytes, words * 8);
    entry_at_ = at_ + sizeof head + words * 8;
    return Finding::kOne;
}

Finding RecordReader::check_sum() noexcept {
    const std::uint64_t end = at_ + record_.bytes - sizeof(std::uint64_t);
    std::uint64_t sum;
    if (record_.bytes <= kPieceBytes) {
        const std::byte* all = window_.at(at_, record_.bytes);
        if (all == nullptr) return broken(at_, "it cannot be read");
        sum = XXH3_64bits_withSeed(all, end - at_, seed_);
    } else {
        XXH3_state_t hash{};  // zeros: a reset looks at what seed it had
        XXH3_64bits_reset_withSeed(&hash, seed_);
        for (std::uint64_t at = at_; at < end; at += kPieceBytes) {
            const std::size_t some = std::min(kPieceBytes, end - at);
            const std::byte* piece = window_.at(at, some);
            if (piece == nullptr) return broken(at, "it cannot be read");
            XXH3_64bits_update(&hash, piece, some);
        }
        sum = XXH3_64bits_digest(&hash);
    }
    const std::byte* written = window_.at(end, sizeof sum);
    if (written == nullptr) return broken(end, "it cannot be read");
    return std::memcmp(written, &sum, sizeof sum) == 0 ? Finding::kOne
                                                       : broken(at_, "a record's checksum is wrong");
}

Finding RecordReader::check_entries() noexcept {
    const std::uint64_t end = at_ + record_.bytes - sizeof(std::uint64_t);
    std::uint64_t at = entry_at_;
    for (std::uint32_t i = 0; i < record_.entries; ++i) {
        EntryHead head;
        const Finding found = read_entry_head(window_, at, end, &head, &damage_);
        if (found != Finding::kOne) return found;
        if (head.key_size == 0) return broken(at, "an entry has no key");
        if (head.version >= record_.position) return broken(at, "an entry expects a version of later");
        at += entry_bytes(head.key_size, head.value_size);
    }
    return at == end ? Finding::kOne : broken(at, "a record is longer than its entries");
}

Finding RecordReader::next() noexcept {
    at_ = next_;
    Finding found = read_head();
    if (found == Finding::kOne) found = check_sum();
    if (found == Finding::kOne) found = check_entries();
    entries_left_ = found == Finding::kOne ? record_.entries : 0;
    if (found == Finding::kOne) next_ = at_ + record_.bytes;
    return found;
}

Finding RecordReader::next_entry(EntryView* entry_out) noexcept {
    if (entries_left_ == 0) return Finding::kEnd;
    EntryHead head;
    // Looked at again: a long record's bytes were read twice.
    const Finding found =
        read_entry_head(window_, entry_at_, at_ + record_.bytes - sizeof(std::uint64_t), &head, &damage_);
    if (found != Finding::kOne) return found;
    if (head.key_size == 0) return broken(entry_at_, "an entry has no key");
    if (!view_entry(window_, entry_at_, head, entry_out)) return broken(entry_at_, "it cannot be read");
    entry_at_ += entry_bytes(head.key_size, head.value_size);
    --entries_left_;
    return Finding::kOne;
}

}  // namespace keystile::engine
