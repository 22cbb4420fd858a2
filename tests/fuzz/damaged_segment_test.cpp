// A segment with any bytes in it: each call answers a typed status; none crashes, hangs or reads out of
// bounds.
//
// Method: a store with a bit of everything (and the remains of dead processes), 1 to 64 changes anywhere in
// its allocated bytes, before or while it is open, then every public call. In a child, under an alarm.
// KEYSTILE_FUZZ_SEED and KEYSTILE_FUZZ_CASES choose others; KEYSTILE_FUZZ_FIRST starts at a case, with 1
// case to repeat one.
#include <gtest/gtest.h>
#include <keystile.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "fuzz/damage.hpp"
#include "segment/segment.hpp"

namespace keystile::testing {

namespace {

constexpr unsigned kHangSeconds = 60;  // a case takes milliseconds
constexpr int kFailuresMax = 5;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t kCases = 250;
#else
constexpr std::uint64_t kCases = 1200;
#endif

// Where the child is: survives it.
struct Progress {
    std::uint64_t next;
    char damage[8192];
    Calls::Tally tally;
};

Progress& progress() {
    static auto* const shared = static_cast<Progress*>(
        ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    return *shared;
}

void note(const std::string& text) {
    std::strncpy(progress().damage, text.c_str(), sizeof progress().damage - 1);
}

std::uint64_t changes_of(Dice& dice) {
    switch (dice.roll(4)) {
        case 0:
        case 1:
            return 1;
        case 2:
            return dice.between(2, 8);
        default:
            return dice.between(9, 64);
    }
}

int run_cases(const SegmentImage& image, std::uint64_t seed, std::uint64_t end) {
    const Fuzzer fuzzer(image);
    Calls::tally = &progress().tally;
    for (; progress().next < end; ++progress().next) {
        ::alarm(kHangSeconds);
        Dice dice(seed + progress().next * 1'000'003);
        const Moment moment = dice.one_in(2) ? Moment::kBeforeOpen : Moment::kWhileOpen;
        const std::uint64_t calls_seed = dice.next();
        const std::string wrong = fuzzer.run(moment, calls_seed, [&](std::byte* base) {
            std::string text =
                moment == Moment::kBeforeOpen ? "damaged before it was opened:\n" : "damaged while open:\n";
            for (std::uint64_t i = changes_of(dice); i > 0; --i) {
                const Change change = pick_change(image, dice);
                apply(base, change);
                text += describe(change, base);
            }
            note(text);
        });
        if (!wrong.empty()) {
            note(progress().damage + wrong);
            return 1;
        }
    }
    return 0;
}

// Exit status, or 128 + the signal that ended the child.
template <class Fn>
int in_child(Fn fn) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fn());
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

const char* meaning_of(int status) {
    if (status == 128 + SIGALRM) return "it hangs";
    if (status > 128) return ::strsignal(status - 128);
    return "a wrong answer, or a sanitizer's report";
}

TEST(DamagedSegment, AnyBytesAreATypedAnswer) {
    const std::uint64_t seed = number_from_env("KEYSTILE_FUZZ_SEED", 20260101);
    const std::uint64_t first = number_from_env("KEYSTILE_FUZZ_FIRST", 0);
    const std::uint64_t end = first + number_from_env("KEYSTILE_FUZZ_CASES", kCases);
    std::printf("KEYSTILE_FUZZ_SEED=%llu, cases %llu to %llu\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(first), static_cast<unsigned long long>(end));
    const SegmentImage image;
    progress().next = first;
    for (int failures = 0; progress().next < end && failures < kFailuresMax; ++progress().next) {
        const int status = in_child([&] { return run_cases(image, seed, end); });
        if (status == 0) break;
        ++failures;
        ADD_FAILURE() << "KEYSTILE_FUZZ_SEED=" << seed << " KEYSTILE_FUZZ_FIRST=" << progress().next
                      << " KEYSTILE_FUZZ_CASES=1: " << meaning_of(status) << "\n"
                      << progress().damage;
    }
    if (end - first < kCases) return;
    // Did it hit anything? Damage is noticed, and what is not damaged goes on.
    for (const ks_status status : {KS_OK, KS_E_CORRUPT, KS_E_LAYOUT}) {
        EXPECT_NE(progress().tally[-status], 0u) << ks_status_name(status);
    }
    for (int status = 0; status > -256; --status) {
        const std::uint64_t count = progress().tally[-status];
        if (count != 0) {
            std::printf("%12llu %s\n", static_cast<unsigned long long>(count),
                        status == 0 ? "answers" : ks_status_name(static_cast<ks_status>(status)));
        }
    }
}

// ---- Damage that was a bug once, or is too special to be met by chance
// --------------------------------------

// Offset of the first slot's word `at`.
std::uint64_t slot_word(const SegmentImage& image, std::size_t slot, std::size_t at) {
    return image.targets().slots[slot * sizeof(engine::shm::Slot) / 8 + at];
}

void store(std::byte* base, std::uint64_t offset, std::uint64_t word) {
    std::memcpy(base + offset, &word, 8);
}
std::uint64_t load(const std::byte* base, std::uint64_t offset) {
    std::uint64_t word;
    std::memcpy(&word, base + offset, 8);
    return word;
}

template <class Damage>
void expect_typed(Damage damage) {
    const SegmentImage image;
    for (const Moment moment : {Moment::kBeforeOpen, Moment::kWhileOpen}) {
        const int status = in_child([&] {
            const Fuzzer fuzzer(image);
            ::alarm(kHangSeconds);
            const std::string wrong = fuzzer.run(moment, 1, [&](std::byte* base) { damage(image, base); });
            std::fputs(wrong.c_str(), stderr);
            return wrong.empty() ? 0 : 1;
        });
        EXPECT_EQ(status, 0) << meaning_of(status)
                             << (moment == Moment::kBeforeOpen ? ", damaged before open"
                                                               : ", damaged while open");
    }
}

TEST(DamagedClaim, AheadOfItsWordEndsNobodysPatience) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        for (std::size_t slot = 0; slot < 300; ++slot) {  // epoch, low 24 bits: all of them
            const std::uint64_t claim = slot_word(image, slot, 2);
            store(base, claim, load(base, claim) | 0xFFFFFFull << 40);
        }
    });
}

TEST(DamagedClaim, BehindItsWordEndsNobodysPatience) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        for (std::size_t slot = 0; slot < 300; ++slot) {  // the word's epoch is odd, and nobody ever bid
            const std::uint64_t word = slot_word(image, slot, 0);
            store(base, word, load(base, word) | 1ull << 33);
        }
    });
}

TEST(DamagedIndex, WithWrongTagsIsAnAnswer) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        for (const std::uint64_t cell : image.targets().cells) {
            if (load(base, cell) != 0) store(base, cell, load(base, cell) ^ 1ull << 7);
        }
    });
}

TEST(DamagedIndex, ThatLeadsBackToItselfIsNotWalkedForEver) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        std::uint64_t some_node = 0;
        for (const std::uint64_t cell : image.targets().cells) {
            if ((load(base, cell) & 3u) == 2u) some_node = load(base, cell);
        }
        for (const std::uint64_t cell : image.targets().cells) store(base, cell, some_node);
    });
}

TEST(DamagedIndex, WithACycleOfSlotsIsNotWalkedForEver) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        for (std::size_t slot = 0; slot < 300;
             ++slot) {  // {turn, next}: next = the slot itself, or its neighbour
            const std::uint64_t last = slot_word(image, slot, 7);
            const std::uint64_t ref = image.targets().refs[0] + slot % 2 * 2;
            store(base, last, (load(base, last) & UINT32_MAX) | ref << 32);
        }
    });
}

TEST(DamagedHeader, WithHintsOutOfBoundsStillServes) {
    expect_typed([](const SegmentImage&, std::byte* base) {
        for (const std::size_t at :
             {offsetof(engine::shm::Header, next_session), offsetof(engine::shm::Header, next_chunk),
              offsetof(engine::shm::Header, next_slot)}) {
            store(base, at, UINT64_MAX);
        }
    });
}

TEST(DamagedHeader, WithLimitsOutOfBoundsIsAnAnswer) {
    for (const std::uint64_t limit : {std::uint64_t{0}, UINT64_MAX, std::uint64_t{1} << 40}) {
        expect_typed([&](const SegmentImage&, std::byte* base) {
            for (const std::size_t at :
                 {offsetof(engine::shm::Header, participants), offsetof(engine::shm::Header, sessions),
                  offsetof(engine::shm::Header, chunks), offsetof(engine::shm::Header, arena)}) {
                store(base, at, limit);
            }
        });
    }
}

TEST(DamagedCorpse, WhoseLineLeadsNowhereIsReaped) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        for (std::size_t session = 0; session < 10; ++session) {
            const std::uint64_t lane = image.targets().sessions[session * sizeof(engine::shm::Lane) / 8];
            for (std::size_t at = 16; at < 56; at += 4) {  // old_ctl, old_ref, slot, holding
                const std::uint32_t ref = session % 2 != 0 ? UINT32_MAX : 1;
                std::memcpy(base + lane + at, &ref, 4);
            }
        }
    });
}

TEST(DamagedSegment, OfZerosBehindItsHeaderIsAnAnswer) {
    expect_typed([](const SegmentImage& image, std::byte* base) {
        std::memset(base + engine::kPageBytes, 0, image.file_bytes() - engine::kPageBytes);
    });
}

}  // namespace

}  // namespace keystile::testing
