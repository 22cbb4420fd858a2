// Door of the ring layer: operations of several keys, written down and decided where everybody sees them.
#pragma once

#include "ring/cells.hpp"      // IWYU pragma: export
#include "ring/history.hpp"    // IWYU pragma: export
#include "ring/operation.hpp"  // IWYU pragma: export
