// What simulated processes do to values and to memory.
#pragma once

#include "explore/actor.hpp"

namespace keystile::explore {

template <char letter>
void update_main(int process) {
    Actor(process).update(kMain, letter);
}

template <char letter>
void update_main_and_other(int process) {
    Actor self(process);
    self.update(kMain, letter);
    self.update(kOther, letter);
}

template <char letter>
void update_main_twice(int process) {
    Actor self(process);
    self.update(kMain, letter);
    self.update(kMain, static_cast<char>(letter + 1));
}

inline void overwrite_main(int process) {
    Actor(process).overwrite(kMain, 'o');
}

inline void read_main(int process) {
    Actor self(process);
    const Value first = self.get(kMain), second = self.get(kMain);
    if (second.stamp.version < first.stamp.version) world().fail("a version went back");
}

template <int key, char letter>
void insert(int process) {
    Actor self(process);
    self.make(key);
    self.append(key, Value{}, letter);
}

inline void insert_erase_update(int process) {
    Actor self(process);
    self.make(kNew);
    self.append(kNew, Value{}, 'i');
    self.erase(kMain, self.get(kMain));
    self.update(kMain, 'j');
}

inline void erase_main(int process) {
    Actor self(process);
    self.erase(kMain, self.get(kMain));
}

inline void reap(int process) {
    Actor(process).reap();
}

template <int key>
void reap_and_update(int process) {
    Actor self(process);
    self.reap();
    self.reopen();
    self.update(key, 'r');
}

inline void reap_and_insert(int process) {
    Actor self(process);
    self.reap();
    self.reopen();
    self.make(kNew);
    self.append(kNew, Value{}, 's');
    self.update(kOther, 's');
}

}  // namespace keystile::explore
