// Where closed handles rest, so that a call on one answers KS_E_HANDLE: nobody else gets the memory meanwhile.
//
// Each kind has its own places; the handle that rested longest makes room for the next. Whoever retires a handle has
// ended it: its magic is 0, and what it owned is freed. Any thread, a forked child too: there is no lock to inherit.
#pragma once

#include <boost/atomic/ipc_atomic.hpp>
#include <cstddef>

#include "platform/platform.hpp"

namespace keystile::engine::abi {

// A page of pointers each kind, and a closed handle is found out for so many closes of its kind.
inline constexpr std::size_t kRestingMax = 512;

template <class Handle>
void retire(Handle* handle) noexcept {
    static boost::ipc_atomic<Handle*> resting[kRestingMax];
    static boost::ipc_atomic<std::uint32_t> next;
    // order[abi.rest]: relaxed. statistic: only uniqueness is asked, and fetch_add gives that by itself.
    const std::uint32_t place = next.fetch_add(1, memory_order_relaxed) % kRestingMax;
    // order[abi.retire]: acq_rel. release: all that was done with this handle; acquire: with the one that is deleted
    //   now. Partner: the same exchange, by whoever came to this place before. Process-private: a crash leaves nothing.
    delete resting[place].exchange(handle, memory_order_acq_rel);
}

}  // namespace keystile::engine::abi
