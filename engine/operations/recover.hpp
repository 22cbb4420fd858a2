// Making a segment from a history on disk.
#pragma once

#include "journal/journal.hpp"
#include "operations/store.hpp"

namespace keystile::engine {

// A new segment of the next incarnation, at folder/file, in which each key is what the history says last. Its journal
// goes on in a new file. Under the directory's exclusive lock. kJournalCorrupt: *end_out tells; nothing was made.
Status make_segment(const Directory& directory, const std::string& folder, const std::string& file,
                    const SegmentOptions& options, HistoryEnd* end_out);

}  // namespace keystile::engine
