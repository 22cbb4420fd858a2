// What simulated processes do to several keys at once.
#pragma once

#include "explore/actor.hpp"

namespace keystile::explore {

template <char letter>
void update_both(int process) {
    Actor(process).update_both(kBoth, letter);
}

template <char letter>
void update_both_reversed(int process) {
    Actor(process).update_both(kBothReversed, letter);
}

template <char letter>
void update_both_twice(int process) {
    Actor self(process);
    self.update_both(kBoth, letter);
    self.reopen();  // without a memory of free blocks: it takes the first it finds
    self.update_both(kBoth, static_cast<char>(letter + 1));
}

// Only commits of both keys with these letters run beside it: each is in both values or in neither.
template <char first, char second>
void snapshot(int process) {
    Actor self(process);
    std::array<Value, 2> cut;
    self.cut(&cut);
    for (const char letter : {first, second}) {
        const auto has = [letter](const Value& v) {
            return std::string_view(v.text.data(), v.size).find(letter) != std::string_view::npos;
        };
        if (has(cut[0]) != has(cut[1])) world().fail("a snapshot is not a cut");
    }
}

template <char letter>
void reap_and_update_both(int process) {
    Actor self(process);
    self.reap();
    self.reopen();
    self.update_both(kBoth, letter);
}

}  // namespace keystile::explore
