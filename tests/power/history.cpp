#include "power/history.hpp"

#include <cstdlib>

#include "stress/dice.hpp"

namespace keystile::power {

namespace {

constexpr std::uint64_t kRound = 16;          // commits until the kinds repeat
constexpr std::size_t kLargeBytes = 600'000;  // two of them fill a first journal file

std::string small_key(unsigned lane, std::uint64_t number) {
    return prefix_of(lane) + static_cast<char>('a' + number % 3);
}

}  // namespace

std::string prefix_of(unsigned lane) {
    return "lane " + std::to_string(lane) + "/";
}

std::string token_key_of(unsigned lane) {
    return "token " + std::to_string(lane);
}

std::vector<std::string> keys_of(unsigned lane) {
    std::vector<std::string> keys;
    for (const char* name : {"a", "b", "c", "left", "right", "large"}) keys.push_back(prefix_of(lane) + name);
    return keys;
}

Step step_of(unsigned lane, std::uint64_t number) {
    Step step;
    step.keys = {small_key(lane, number)};
    step.value_bytes = 32 + number * 37 % 900;
    step.is_durable = number % 3 != 1;
    switch (number % kRound) {
        case 5:
        case 10:
            step.keys = {prefix_of(lane) + "left", prefix_of(lane) + "right"};
            step.is_durable = true;  // a transaction is as its store says
            break;
        case 6:
        case 14:
            step.keys = {prefix_of(lane) + "large"};
            step.value_bytes = kLargeBytes;
            break;
        case 7:
            step.has_flush = true;
            break;
        case 9:
            step.has_claim = true;
            break;
        case 12:
            step.has_checkpoint = true;
            break;
        case 13:  // what the one before wrote
            step.keys = {small_key(lane, number - 1)};
            step.is_delete = true;
            break;
        default:
            break;
    }
    return step;
}

std::string value_of(const std::string& key, std::uint64_t number) {
    std::string value = std::to_string(number) + " of " + key + ": ";
    std::uint64_t seed = number;
    for (const char c : key) seed = seed * 131 + static_cast<unsigned char>(c);
    testing::Dice dice(seed);
    const std::size_t lane_at = prefix_of(0).find('0');
    const unsigned lane = static_cast<unsigned>(std::strtoul(key.c_str() + lane_at, nullptr, 10));
    const std::size_t bytes = step_of(lane, number).value_bytes;
    while (value.size() < bytes) {
        const std::uint64_t word = dice.next();
        value.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    return value;
}

std::uint64_t number_in(const std::string& value) {
    return std::strtoull(value.c_str(), nullptr, 10);
}

const State& History::after(std::uint64_t number) {
    while (states_.size() <= number) {
        State next = states_.back();
        const Step step = step_of(lane_, states_.size());
        for (const std::string& key : step.keys) {
            if (step.is_delete) {
                next.erase(key);
            } else {
                next[key] = states_.size();
            }
        }
        states_.push_back(std::move(next));
    }
    return states_[number];
}

std::int64_t History::find(const State& state, std::uint64_t most) {
    for (std::uint64_t number = most + 1; number-- > 0;) {
        if (after(number) == state) return static_cast<std::int64_t>(number);
    }
    return -1;
}

}  // namespace keystile::power
