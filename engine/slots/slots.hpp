// Door of the slots layer: a key's fixed place, how it is found, and the transitions of its word and its
// claim.
#pragma once

#include "slots/claim.hpp"  // IWYU pragma: export
#include "slots/index.hpp"  // IWYU pragma: export
#include "slots/key.hpp"    // IWYU pragma: export
#include "slots/slot.hpp"   // IWYU pragma: export
#include "slots/word.hpp"   // IWYU pragma: export
