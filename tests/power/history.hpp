// What the writers of tests/power commit: a function of lane and number alone, so that whoever opens the store
// afterwards can say how far it came.
//
// A lane is one writer with keys of its own. Its history is what commits 1, 2, 3, … make of nothing: values small and
// large, a delete, pairs of keys in one transaction. Some wait for the disk, some do not; large ones fill journal
// files; checkpoints and claims lie in between.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace keystile::power {

using State =
    std::map<std::string, std::uint64_t>;  // of one lane: key, number of the commit that wrote its value

struct Step {
    std::vector<std::string> keys;  // one, or a transaction's
    std::size_t value_bytes = 0;
    bool is_delete = false;
    bool is_durable = false;  // else relaxed
    // Behind it:
    bool has_flush = false;
    bool has_checkpoint = false;
    bool has_claim = false;  // of the lane's token key
};

Step step_of(unsigned lane, std::uint64_t number);
std::string value_of(const std::string& key, std::uint64_t number);
// The number in it; 0: nobody wrote this.
std::uint64_t number_in(const std::string& value);
std::string prefix_of(unsigned lane);
std::vector<std::string> keys_of(unsigned lane);
std::string token_key_of(unsigned lane);  // claimed, never written

// How far a state's number may be above that of its newest value: the last two commits wrote a value and deleted it.
constexpr std::uint64_t kUnseenMax = 2;

class History {
public:
    explicit History(unsigned lane) : lane_(lane) {}

    // The state that commits 1 … number lead to.
    const State& after(std::uint64_t number);
    // The number after which the lane is as `state`, `most` at most; -1: none. No two states of a history are the same.
    std::int64_t find(const State& state, std::uint64_t most);

private:
    unsigned lane_;
    std::vector<State> states_{1};
};

}  // namespace keystile::power
