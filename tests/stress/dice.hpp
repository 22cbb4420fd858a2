// Random numbers of the tests: small, fast, the same everywhere for the same seed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace keystile::testing {

// splitmix64 (Steele, Lea, Flood 2014).
class Dice {
public:
    explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}
    std::uint64_t next() noexcept {
        state_ += 0x9E3779B97F4A7C15u;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
    // 0 … sides - 1
    std::uint64_t roll(std::uint64_t sides) noexcept { return next() % sides; }
    std::uint64_t between(std::uint64_t least, std::uint64_t most) noexcept {
        return least + roll(most - least + 1);
    }
    bool one_in(std::uint64_t n) noexcept { return roll(n) == 0; }

private:
    std::uint64_t state_;
};

// A number from the environment, or what stands in for it.
inline std::uint64_t number_from_env(const char* name, std::uint64_t otherwise) noexcept {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

}  // namespace keystile::testing
