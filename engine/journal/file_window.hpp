// A file read through a buffer of one's own. Not mapped: a file that is cut off, or a sector that cannot be read, is an
// answer here and would be SIGBUS there.
#pragma once

#include <memory>

#include "journal/disk.hpp"
#include "journal/format.hpp"

namespace keystile::engine {

// What a reader found.
enum class Finding {
    kOne,
    kEnd,      // nothing more: zeros, or the end of the file
    kDamaged,  // bytes that nobody wrote so
    kFault     // the system did not let us look
};

class FileWindow {
public:
    FileWindow() noexcept = default;

    // Answers kSystem.
    Status open(const DiskFile& file) noexcept;
    std::uint64_t bytes() const noexcept { return file_bytes_; }

    // `bytes` at `offset`, in one piece, until the next call. nullptr: they are not all in the file, or status().
    const std::byte* at(std::uint64_t offset, std::size_t bytes) noexcept;
    Status status() const noexcept { return status_; }

private:
    bool reserve(std::size_t bytes) noexcept;

    const DiskFile* file_ = nullptr;
    std::uint64_t file_bytes_ = 0;
    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_ = 0;
    std::uint64_t begin_ = 0;  // [begin_, begin_ + held_) of the file is in memory
    std::size_t held_ = 0;
    Status status_ = Status::kOk;
};

}  // namespace keystile::engine
