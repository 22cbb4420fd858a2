// Door of the platform layer: what the hardware and the kernel give, and nothing of Keystile's own ideas.
#pragma once

#include "platform/atomic.hpp"       // IWYU pragma: export
#include "platform/clock.hpp"        // IWYU pragma: export
#include "platform/copy.hpp"         // IWYU pragma: export
#include "platform/crash_point.hpp"  // IWYU pragma: export
#include "platform/dwcas.hpp"        // IWYU pragma: export
#include "platform/file.hpp"         // IWYU pragma: export
#include "platform/fork.hpp"         // IWYU pragma: export
#include "platform/futex.hpp"        // IWYU pragma: export
#include "platform/mapping.hpp"      // IWYU pragma: export
#include "platform/process.hpp"      // IWYU pragma: export
#include "platform/status.hpp"       // IWYU pragma: export
