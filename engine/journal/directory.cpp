#include "journal/directory.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace keystile::engine {

namespace {

constexpr char kLockName[] = "lock";
constexpr std::uint64_t kLockByte = 0;
constexpr std::size_t kPlaceBytes = 4096;  // one page: who is killed in writing it has written it or not
constexpr std::size_t kPathBytesMax = 3500;

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

// A new one, empty. Two who do this at once do the same.
Status make_directory(const std::string& path, const DirectoryOptions& options) noexcept {
    Status s = disk_make_folder(path, 0700);
    if (s == Status::kExists) s = Status::kOk;
    if (s == Status::kOk && options.has_group) s = disk_share_folder(path, S_ISGID | 0770, options.group);
    return s == Status::kOk ? disk_sync_folder(parent_of(path)) : s;
}

std::uint64_t sum_of(std::string_view text) noexcept {
    return XXH3_64bits(text.data(), text.size());
}

}  // namespace

Status Directory::open(const std::string& path, const DirectoryOptions& options,
                       Directory* directory_out) noexcept {
    Directory directory;
    directory.path_ = path;
    directory.is_read_only_ = options.is_read_only;
    const Access access = options.is_read_only ? Access::kReadOnly : Access::kReadWrite;
    Status found = disk_open(directory.path_of(kLockName), access, &directory.lock_);
    const bool is_new = found == Status::kNoStore && !options.must_exist && !options.is_read_only;
    if (!is_new && found != Status::kOk) return found;
    if (is_new) {
        if (const Status s = make_directory(path, options); s != Status::kOk) return s;
    }
    bool is_shared = false;
    if (const Status s = disk_is_shared(path, &is_shared); s != Status::kOk) return s;
    if (is_shared) return own_fault(Status::kNetworkFileSystem);
    mode_t mode = 0;
    if (const Status s = disk_folder_mode(path, &mode); s != Status::kOk) return s;
    // Only a folder that gives its group to its files is one that a group shares.
    directory.file_mode_ = (mode & S_ISGID) != 0 && (mode & S_IWGRP) != 0 ? 0660 : 0600;
    if (is_new) {
        DiskFile fresh;
        if (const Status s = directory.create_hidden(kLockName, &fresh); s != Status::kOk) return s;
        const Status s = directory.link_hidden(fresh, kLockName);
        if (s != Status::kOk && s != Status::kExists) return s;
        found = disk_open(directory.path_of(kLockName), access, &directory.lock_);
    }
    if (found == Status::kOk) *directory_out = std::move(directory);
    return found;
}

Status Directory::try_lock(LockKind kind) noexcept {
    switch (try_lock_byte(lock_.file(), kLockByte, kind)) {
        case LockAnswer::kTaken:
            return Status::kOk;
        case LockAnswer::kBusy:
            return Status::kBusy;
        default:
            return status_of_errno(errno);
    }
}

Status Directory::unlock() noexcept {
    return unlock_byte(lock_.file(), kLockByte) == LockAnswer::kTaken ? Status::kOk : status_of_errno(errno);
}

bool Directory::is_locked_by_other() const noexcept {
    return is_byte_locked_by_other(lock_.file(), kLockByte);
}

bool Directory::is_in_place() const noexcept {
    return is_at_path(lock_.file(), lock_.path());
}

Status Directory::write_place(const SegmentPlace& place) const noexcept {
    if (place.path.size() > kPathBytesMax || place.path.find('\n') != std::string::npos)
        return own_fault(Status::kArgument);
    char body[kPlaceBytes];
    char text[kPlaceBytes];
    const int body_bytes = std::snprintf(body, sizeof body,
                                         "store %016" PRIx64 "\nincarnation %" PRIu64 "\nboot %016" PRIx64
                                         "%016" PRIx64 "\nsegment %" PRIu64 " %" PRIu64 " %s\n",
                                         place.store_id, place.incarnation, place.boot_id[0],
                                         place.boot_id[1], place.device, place.inode, place.path.c_str());
    // Padded first, for the sum is over all that follows the first line.
    char first[64];
    const int first_bytes = std::snprintf(first, sizeof first, "keystile 1 %016x\n", 0u);
    std::memset(text, ' ', sizeof text);
    std::memcpy(text + first_bytes, body, static_cast<std::size_t>(body_bytes));
    const auto head = static_cast<std::size_t>(first_bytes);
    std::snprintf(first, sizeof first, "keystile 1 %016" PRIx64 "\n",
                  sum_of({text + head, sizeof text - head}));
    std::memcpy(text, first, head);
    const Status s = disk_write(lock_, 0, text, sizeof text);
    return s == Status::kOk ? disk_sync(lock_) : s;
}

Status Directory::read_place(std::optional<SegmentPlace>* place_out) const noexcept {
    place_out->reset();
    char text[kPlaceBytes + 1] = {};
    std::size_t bytes = 0;
    if (const Status s = disk_read(lock_, 0, text, kPlaceBytes, &bytes); s != Status::kOk) return s;
    std::uint64_t sum = 0;
    int head = 0, path = 0;
    SegmentPlace place;
    if (bytes != kPlaceBytes || std::sscanf(text, "keystile 1 %16" SCNx64 "%n", &sum, &head) != 1 ||
        text[head] != '\n' ||
        sum != sum_of({text + head + 1, kPlaceBytes - static_cast<std::size_t>(head) - 1})) {
        return Status::kOk;
    }
    const int fields = std::sscanf(text + head + 1,
                                   "store %16" SCNx64 " incarnation %" SCNu64 " boot %16" SCNx64 "%16" SCNx64
                                   " segment %" SCNu64 " %" SCNu64 "%n",
                                   &place.store_id, &place.incarnation, &place.boot_id[0], &place.boot_id[1],
                                   &place.device, &place.inode, &path);
    const char* begin = text + head + 1 + path;
    const char* end = std::strchr(begin, '\n');
    if (fields != 6 || *begin != ' ' || end == nullptr) return Status::kOk;
    place.path.assign(begin + 1, end);
    *place_out = std::move(place);
    return Status::kOk;
}

Status Directory::list(DirectoryListing* listing_out) const noexcept {
    std::vector<std::string> names;
    if (const Status s = disk_list(path_, &names); s != Status::kOk) return s;
    *listing_out = {};
    for (const std::string& name : names) {
        std::uint32_t file;
        Position start;
        if (parse_journal_name(name, &file)) listing_out->journals.push_back(file);
        if (parse_checkpoint_name(name, &start)) listing_out->checkpoints.push_back(start);
        if (!name_behind(name).empty()) listing_out->half_made.push_back(name);
    }
    std::sort(listing_out->journals.begin(), listing_out->journals.end());
    std::sort(listing_out->checkpoints.begin(), listing_out->checkpoints.end());
    return Status::kOk;
}

Status Directory::create_hidden(const std::string& name, DiskFile* file_out) const noexcept {
    char nonce[24];
    std::snprintf(nonce, sizeof nonce, ".%016" PRIx64, random_bits());
    return disk_create(path_of("." + name + nonce), file_mode_, file_out);
}

Status Directory::link_hidden(const DiskFile& file, const std::string& name) const noexcept {
    const Status linked = disk_link(file.path(), path_of(name));
    const int error = fault_errno;
    disk_unlink(file.path());  // if it stays, it is removed as half made
    fault_errno = error;
    // Its hidden name was taken away: by somebody who saw that it comes too late.
    return linked == Status::kNoStore ? own_fault(Status::kExists) : linked;
}

Status Directory::remove_half_made() const noexcept {
    DirectoryListing listing;
    Status s = list(&listing);
    for (std::size_t i = 0; s == Status::kOk && i < listing.half_made.size(); ++i) {
        s = disk_unlink(path_of(listing.half_made[i]));
        if (s == Status::kNoStore) s = Status::kOk;  // of one who opens, too, and has removed it himself
    }
    return s;
}

}  // namespace keystile::engine
