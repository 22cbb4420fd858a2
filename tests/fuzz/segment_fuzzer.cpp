// libFuzzer looks for bytes in a segment that make a call crash, hang or read out of bounds: the same damage and the
// same calls as damaged_segment_test.cpp, steered by coverage. Not part of CI.
//
//   CC=clang-19 CXX=clang++-19 cmake -S . -B build/fuzz -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo
//       -DKEYSTILE_LIBFUZZER=ON -DKEYSTILE_CLI=OFF -DKEYSTILE_BENCH=OFF
//   ninja -C build/fuzz keystile_segment_fuzzer
//   build/fuzz/bin/keystile_segment_fuzzer -timeout=20 -max_len=512 -len_control=0 CORPUS
//
// Input: 2 bytes {moment, seed of the calls}, then 12 bytes a change: {list of words : 1, flip or set : 1, index in the
// list : 2, value : 8}. Empty in every other build: the folder's test program compiles all that lies here.
#if defined(KEYSTILE_LIBFUZZER)

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "fuzz/damage.hpp"

namespace keystile::testing {

namespace {

constexpr std::size_t kHeadBytes = 2;
constexpr std::size_t kChangeBytes = 12;

Change read_change(const SegmentImage& image, const std::uint8_t* input) {
    const Targets& targets = image.targets();
    const std::vector<std::uint64_t>* const lists[] = {
        &targets.header, &targets.participants, &targets.sessions, &targets.cells,
        &targets.chunks, &targets.slots,        &targets.heads};
    const auto& list = *lists[input[0] % std::size(lists)];
    std::uint16_t index;
    std::uint64_t value;
    std::memcpy(&index, input + 2, sizeof index);
    std::memcpy(&value, input + 4, sizeof value);
    const std::uint64_t offset = list[index % list.size()];
    return input[1] % 2 == 0 ? Change{offset, 1ull << (value % 64), 0} : Change{offset, UINT64_MAX, value};
}

}  // namespace

}  // namespace keystile::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t bytes) {
    using namespace keystile::testing;
    static const SegmentImage image;
    static const Fuzzer fuzzer(image);
    if (bytes < kHeadBytes) return -1;
    const Moment moment = input[0] % 2 == 0 ? Moment::kBeforeOpen : Moment::kWhileOpen;
    const std::string wrong = fuzzer.run(moment, input[1], [&](std::byte* base) {
        for (std::size_t at = kHeadBytes; at + kChangeBytes <= bytes; at += kChangeBytes) {
            apply(base, read_change(image, input + at));
        }
    });
    if (!wrong.empty()) std::abort();
    return 0;
}

#endif
