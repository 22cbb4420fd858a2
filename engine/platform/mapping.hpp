// A file mapped into this process, whole, once. Never remapped, so addresses stay valid until the store is
// closed.
#pragma once

#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>

#include "platform/file.hpp"

namespace keystile::engine {

class Mapping {
public:
    std::byte* base() const noexcept { return static_cast<std::byte*>(region_.get_address()); }
    std::uint64_t bytes() const noexcept { return region_.get_size(); }

    // Answers kMemory (no address space) or kSystem.
    static Status map(const File& file, Access access, std::uint64_t bytes, Mapping* mapping_out) noexcept;

    void advise_huge_pages() const noexcept;
    // Make the pages of a range present now, so that no operation pays for a first touch.
    void prefault(std::uint64_t offset, std::uint64_t bytes) const noexcept;

private:
    boost::interprocess::mapped_region region_;
};

}  // namespace keystile::engine
