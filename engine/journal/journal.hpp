// Door of the journal layer: a durable store's directory and the files in it. docs/JOURNAL.md.
//
// It knows bytes, files and positions; nothing of slots, sessions, or who decides what is written when.
#pragma once

#include "journal/checkpoint.hpp"         // IWYU pragma: export
#include "journal/checkpoint_reader.hpp"  // IWYU pragma: export
#include "journal/directory.hpp"          // IWYU pragma: export
#include "journal/disk.hpp"               // IWYU pragma: export
#include "journal/file_window.hpp"        // IWYU pragma: export
#include "journal/format.hpp"             // IWYU pragma: export
#include "journal/journal_file.hpp"       // IWYU pragma: export
#include "journal/mark.hpp"               // IWYU pragma: export
#include "journal/out_buffer.hpp"         // IWYU pragma: export
#include "journal/record_reader.hpp"      // IWYU pragma: export
#include "journal/record_writer.hpp"      // IWYU pragma: export
#include "journal/repair.hpp"             // IWYU pragma: export
#include "journal/scan.hpp"               // IWYU pragma: export
#include "journal/survey.hpp"             // IWYU pragma: export
#include "journal/verify.hpp"             // IWYU pragma: export
