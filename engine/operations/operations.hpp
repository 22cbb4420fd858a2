// Door of the operations layer: what a user can do with a store. The only layer that joins slots, ring and journal.
#pragma once

#include "operations/check.hpp"             // IWYU pragma: export
#include "operations/checkpoint_store.hpp"  // IWYU pragma: export
#include "operations/claims.hpp"            // IWYU pragma: export
#include "operations/commit.hpp"            // IWYU pragma: export
#include "operations/durable_store.hpp"     // IWYU pragma: export
#include "operations/feed.hpp"              // IWYU pragma: export
#include "operations/flusher.hpp"           // IWYU pragma: export
#include "operations/multi.hpp"             // IWYU pragma: export
#include "operations/read.hpp"              // IWYU pragma: export
#include "operations/reaper.hpp"            // IWYU pragma: export
#include "operations/snapshot.hpp"          // IWYU pragma: export
#include "operations/stats.hpp"             // IWYU pragma: export
#include "operations/store.hpp"             // IWYU pragma: export
#include "operations/watch.hpp"             // IWYU pragma: export
