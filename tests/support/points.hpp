// Crash points and guards in the hands of a test (the checked flavour of the engine only).
#pragma once

#if defined(KEYSTILE_CHECKED)

#include <string>
#include <string_view>
#include <vector>

namespace keystile::testing {

// At the `occurrence`-th passing (1 = first, counted from the step before on) of the point, this process
// gets the signal.
struct Step {
    std::string point;
    int occurrence = 1;
    int signal = 0;  // SIGKILL, SIGSTOP
};

// From now on, in this process: the steps one after the other.
void arm(std::vector<Step> steps);
// Neither signals nor records any more.
void disarm();
// Every point this process passes from now on is written down in memory that a forked child shares with its
// parent.
void record();
std::vector<std::string> recorded();  // what was passed since the last forget_record()
void forget_record();

// Switch one guard off, here and in every child forked from now on; "" = all on.
void switch_off(std::string_view guard);
bool is_switched_off(std::string_view guard);

// The names in the engine's sources, sorted.
std::vector<std::string> points_of_engine();
std::vector<std::string> guards_of_engine();

}  // namespace keystile::testing

#endif
