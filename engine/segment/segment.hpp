// Door of the segment layer: the shared bytes, how they come to be, and who is attached.
#pragma once

#include "segment/layout.hpp"        // IWYU pragma: export
#include "segment/ownership.hpp"     // IWYU pragma: export
#include "segment/participants.hpp"  // IWYU pragma: export
#include "segment/segment_file.hpp"  // IWYU pragma: export
#include "segment/session.hpp"       // IWYU pragma: export
