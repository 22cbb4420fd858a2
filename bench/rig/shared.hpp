// Memory that children forked later share with us.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

#include "rig/store.hpp"

namespace keystile::bench {

template <class T>
class Shared {
public:
    explicit Shared(std::size_t count = 1) : bytes_(count * sizeof(T)) {
        void* memory = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        need(memory != MAP_FAILED, "shared memory");
        first_ = static_cast<T*>(memory);  // zeros
    }
    ~Shared() { ::munmap(first_, bytes_); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T& operator[](std::size_t i) const noexcept { return first_[i]; }

private:
    std::size_t bytes_;
    T* first_;
};

}  // namespace keystile::bench
