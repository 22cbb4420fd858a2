// A store with a bit of everything in it, as an image that can be put back in a moment: what the fuzzers
// damage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace keystile::testing {

// Where things lie in the image: offsets of 8-byte words, by what they belong to.
struct Targets {
    std::vector<std::uint64_t> header, participants, sessions, cells, chunks, slots, heads, ring;
    std::vector<std::uint32_t> refs;  // of slots, nodes and blocks: what a damaged ref may name by bad luck
};

class SegmentImage {
public:
    SegmentImage();
    SegmentImage(const SegmentImage&) = delete;
    SegmentImage& operator=(const SegmentImage&) = delete;
    ~SegmentImage();

    const std::string& url() const noexcept { return url_; }
    const std::string& path() const noexcept { return path_; }
    std::uint64_t file_bytes() const noexcept { return file_bytes_; }
    const std::vector<std::string>& keys() const noexcept { return keys_; }
    const Targets& targets() const noexcept { return targets_; }
    // The n-th word of those that are allocated.
    std::uint64_t word_count() const noexcept { return word_count_; }
    std::uint64_t word_offset(std::uint64_t n) const noexcept;

    // Write the image to the path as it was; into the same file, if it is still there.
    void restore() const;

private:
    struct Extent {
        std::uint64_t offset;
        std::vector<std::byte> bytes;
    };
    void fill();
    void find_targets();
    void copy_extents();

    std::string url_, path_;
    std::vector<std::string> keys_;
    std::vector<Extent> extents_;
    std::uint64_t file_bytes_ = 0, word_count_ = 0;
    Targets targets_;
};

}  // namespace keystile::testing
