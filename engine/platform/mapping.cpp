#include "platform/mapping.hpp"

#include <sys/mman.h>

#include <boost/interprocess/exceptions.hpp>

namespace keystile::engine {

namespace ipc = boost::interprocess;

namespace {

// What mapped_region asks of a mappable: our own descriptor, which is O_CLOEXEC (Boost's file_mapping opens
// another).
class Mappable {
public:
    Mappable(int fd, ipc::mode_t mode) noexcept : fd_(fd), mode_(mode) {}
    ipc::mapping_handle_t get_mapping_handle() const noexcept {
        return ipc::ipcdetail::mapping_handle_from_file_handle(fd_);
    }
    ipc::mode_t get_mode() const noexcept { return mode_; }

private:
    int fd_;
    ipc::mode_t mode_;
};

}  // namespace

Status Mapping::map(const File& file, Access access, std::uint64_t bytes, Mapping* mapping_out) noexcept {
    const ipc::mode_t mode = access == Access::kReadOnly ? ipc::read_only : ipc::read_write;
    try {
        mapping_out->region_ = ipc::mapped_region(Mappable(file.fd(), mode), mode, 0,
                                                  static_cast<std::size_t>(bytes), nullptr, MAP_NORESERVE);
        return Status::kOk;
    } catch (const ipc::interprocess_exception& problem) {
        return status_of_errno(problem.get_native_error());
    } catch (...) {
        return own_fault(Status::kSystem);
    }
}

void Mapping::advise_huge_pages() const noexcept {
    ::madvise(base(), bytes(), MADV_HUGEPAGE);
}

void Mapping::prefault(std::uint64_t offset, std::uint64_t bytes) const noexcept {
#if defined(MADV_POPULATE_WRITE)
    ::madvise(base() + offset, bytes,
              MADV_POPULATE_WRITE);  // refused by old kernels: then pages come one by one
#endif
}

}  // namespace keystile::engine
