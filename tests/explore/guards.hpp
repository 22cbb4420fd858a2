// Each guard of the engine, switched off, is found by some scenario: the explorer's own proof that it looks.
#pragma once

namespace keystile::explore {

// Prints the table guard × scenario: after how many schedules it was found. False: a guard is found by none.
bool run_guards();

}  // namespace keystile::explore
