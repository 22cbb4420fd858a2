// Goal: copies in and out of shared memory are exact at every size, and touch nothing beside.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "platform/platform.hpp"

namespace keystile::engine {
namespace {

// Method: every size up to beyond both of the vectors' steps, and those around the switch to rep movsb, between guards.
// The shared side is aligned and padded as a block's payload, the private one lies anyhow.
constexpr std::size_t kRoom = 8192, kGuard = 256;

template <class Copy>
void copies_exactly(Copy copy, std::size_t size, std::size_t shift, std::size_t padding) {
    alignas(64) static std::array<unsigned char, kRoom> from, to;
    for (std::size_t i = 0; i < kRoom; ++i) from[i] = static_cast<unsigned char>(i * 7 + i / 251);
    to.fill(0xEE);
    copy(to.data() + kGuard + shift, from.data() + kGuard, size);
    ASSERT_EQ(std::memcmp(to.data() + kGuard + shift, from.data() + kGuard, size), 0) << size;
    const auto is_untouched = [](unsigned char byte) { return byte == 0xEE; };
    const auto end = to.begin() + static_cast<std::ptrdiff_t>(kGuard + shift + size + padding);
    ASSERT_TRUE(
        std::all_of(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(kGuard + shift), is_untouched))
        << size;
    ASSERT_TRUE(std::all_of(end, to.end(), is_untouched)) << size;
}

template <class Check>
void at_every_size(Check check) {
    for (std::size_t size = 0; size <= 600; ++size) check(size);
    for (std::size_t size = 4000; size <= 4200; ++size) check(size);
}

TEST(Copy, OutIsExactAtEverySize) {
    at_every_size([](std::size_t size) { copies_exactly(copy_out, size, size % 16, 0); });
}

TEST(Copy, InIsExactAtEverySizeUpToThePadding) {
    at_every_size([](std::size_t size) {
        const std::size_t padding =
            (8 - size % 8) % 8;  // where copies go by words, the last is written whole
        copies_exactly(copy_in, size, 0, padding);
    });
}

}  // namespace
}  // namespace keystile::engine
