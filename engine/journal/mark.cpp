#include "journal/mark.hpp"

#include <xxhash.h>

#include <cstring>

namespace keystile::engine {

namespace {

constexpr char kMarkName[] = "mark";
constexpr int kPlaces = 2;

bool is_valid(const disk::Mark& mark) noexcept {
    return mark.magic == kMarkMagic && mark.checksum == XXH3_64bits(&mark, offsetof(disk::Mark, checksum)) &&
           mark.position != 0 && mark.position <= kPositionMax && mark.file <= kJournalFileMax &&
           mark.offset >= kJournalHeadBytes && mark.offset % 8 == 0;
}

Status read_from(const DiskFile& file, Mark* mark_out) noexcept {
    bool is_found = false;
    for (std::uint64_t place = 0; place < kPlaces; ++place) {
        disk::Mark bytes{};
        std::size_t count = 0;
        const Status s = disk_read(file, place * kMarkPlaceBytes, &bytes, sizeof bytes, &count);
        if (s != Status::kOk) return s;
        if (count != sizeof bytes || !is_valid(bytes)) continue;
        if (is_found && bytes.position < mark_out->durable.position) continue;
        *mark_out = {bytes.store_id,
                     bytes.incarnation,
                     bytes.sequence,
                     {bytes.position, static_cast<std::uint32_t>(bytes.file), bytes.offset}};
        is_found = true;
    }
    return is_found ? Status::kOk : own_fault(Status::kNotFound);
}

// The file, made if it is not there.
Status open_mark(const Directory& directory, DiskFile* file_out) noexcept {
    const std::string path = directory.path_of(kMarkName);
    const Status found = disk_open(path, Access::kReadWrite, file_out);
    if (found != Status::kNoStore) return found;
    DiskFile fresh;
    Status s = directory.create_hidden(kMarkName, &fresh);
    if (s == Status::kOk) s = directory.link_hidden(fresh, kMarkName);
    if (s != Status::kOk && s != Status::kExists) return s;
    s = directory.sync();
    return s == Status::kOk ? disk_open(path, Access::kReadWrite, file_out) : s;
}

}  // namespace

Status read_mark(const Directory& directory, Mark* mark_out) noexcept {
    DiskFile file;
    const Status s = disk_open(directory.path_of(kMarkName), Access::kReadOnly, &file);
    if (s == Status::kNoStore) return own_fault(Status::kNotFound);
    return s == Status::kOk ? read_from(file, mark_out) : s;
}

Status check_mark_place(const Directory& directory, std::uint64_t place, Damage* damage_out) noexcept {
    DiskFile file;
    *damage_out = {};
    Status s = disk_open(directory.path_of(kMarkName), Access::kReadOnly, &file);
    if (s == Status::kNoStore) return Status::kOk;
    disk::Mark bytes{};
    std::size_t count = 0;
    if (s == Status::kOk) s = disk_read(file, place * kMarkPlaceBytes, &bytes, sizeof bytes, &count);
    if (s != Status::kOk) return s;
    constexpr disk::Mark kNothing{};
    if (std::memcmp(&bytes, &kNothing, sizeof bytes) == 0)
        return Status::kOk;  // never written, or not that far
    if (count != sizeof bytes || !is_valid(bytes))
        *damage_out = {place * kMarkPlaceBytes, "it is no mark, or its checksum is wrong"};
    return Status::kOk;
}

Status write_mark(const Directory& directory, const Mark& mark) noexcept {
    DiskFile file;
    Mark last;
    Status s = open_mark(directory, &file);
    if (s == Status::kOk) s = read_from(file, &last);
    if (s != Status::kOk && s != Status::kNotFound) return s;
    if (last.durable.position >= mark.durable.position) return Status::kOk;
    // Never over the valid one.
    disk::Mark bytes{kMarkMagic,
                     mark.store_id,
                     mark.incarnation,
                     last.sequence + 1,
                     mark.durable.position,
                     mark.durable.file,
                     mark.durable.offset,
                     0};
    bytes.checksum = XXH3_64bits(&bytes, offsetof(disk::Mark, checksum));
    s = disk_write(file, bytes.sequence % kPlaces * kMarkPlaceBytes, &bytes, sizeof bytes);
    return s == Status::kOk ? disk_sync_data(file) : s;
}

}  // namespace keystile::engine
