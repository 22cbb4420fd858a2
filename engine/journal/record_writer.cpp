#include "journal/record_writer.hpp"

namespace keystile::engine {

Status put_entry(OutBuffer& out, const EntryHead& head, const void* key) noexcept {
    const disk::EntryHead bytes{static_cast<std::uint32_t>(head.key_size), head.flags, head.value_size,
                                head.version, head.epoch};
    Status s = out.put(&bytes, sizeof bytes);
    if (s == Status::kOk) s = out.put(key, head.key_size);
    return s == Status::kOk ? out.pad() : s;
}

Status RecordWriter::begin(const RecordHead& head) noexcept {
    bytes_ = head.bytes;
    out_.begin_unit(seed_);
    const disk::RecordHead bytes{kRecordMagic, head.entries, head.bytes, head.position, head.signature.word};
    const Status s = out_.put(&bytes, sizeof bytes);
    return s == Status::kOk ? out_.put(head.signature.label, head.signature.bytes()) : s;
}

Status RecordWriter::entry(const EntryHead& head, const void* key) noexcept {
    const Status s = out_.pad();  // the value before
    return s == Status::kOk ? put_entry(out_, head, key) : s;
}

Status RecordWriter::end() noexcept {
    if (const Status s = out_.pad(); s != Status::kOk) return s;
    if (out_.unit_bytes() + sizeof(std::uint64_t) != bytes_) return own_fault(Status::kCorrupt);
    return out_.end_unit();
}

}  // namespace keystile::engine
