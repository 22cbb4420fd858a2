// The textbook tests of a memory model, on the machine itself: what x86 allows must be seen, and nothing else.
#pragma once

namespace keystile::explore {

// Prints a line each; false if one differs from x86-TSO (Owens, Sarkar, Sewell 2009).
bool run_litmus_tests();

}  // namespace keystile::explore
