#include "journal/file_window.hpp"

#include <algorithm>
#include <new>

namespace keystile::engine {

namespace {

constexpr std::size_t kWindowBytes = 256 * 1024;  // what one read of the page cache is best at

}  // namespace

Status FileWindow::open(const DiskFile& file) noexcept {
    file_ = &file;
    begin_ = held_ = 0;
    return status_ = file_bytes(file.file(), &file_bytes_);
}

bool FileWindow::reserve(std::size_t bytes) noexcept {
    if (bytes <= capacity_) return true;
    memory_.reset(new (std::nothrow) std::byte[bytes]);
    capacity_ = memory_ == nullptr ? 0 : bytes;
    held_ = 0;
    if (memory_ == nullptr) {
        fault_errno = ENOMEM;
        status_ = Status::kMemory;
    }
    return memory_ != nullptr;
}

const std::byte* FileWindow::at(std::uint64_t offset, std::size_t bytes) noexcept {
    if (offset >= begin_ && offset - begin_ <= held_ && bytes <= held_ - (offset - begin_))
        return memory_.get() + (offset - begin_);
    if (status_ != Status::kOk || offset > file_bytes_ || bytes > file_bytes_ - offset) return nullptr;
    const std::uint64_t wanted = std::min<std::uint64_t>(std::max(bytes, kWindowBytes), file_bytes_ - offset);
    if (!reserve(std::max(bytes, kWindowBytes))) return nullptr;
    begin_ = offset;
    held_ = 0;
    status_ = disk_read(*file_, offset, memory_.get(), wanted, &held_);
    return status_ == Status::kOk && bytes <= held_ ? memory_.get() : nullptr;
}

}  // namespace keystile::engine
