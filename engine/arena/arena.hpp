// Door of the arena layer: memory for payloads, keys and index nodes, in blocks that survive the death of
// anyone.
#pragma once

#include "arena/blocks.hpp"      // IWYU pragma: export
#include "arena/lane.hpp"        // IWYU pragma: export
#include "arena/runs.hpp"        // IWYU pragma: export
#include "arena/size_class.hpp"  // IWYU pragma: export
#include "arena/spare.hpp"       // IWYU pragma: export
