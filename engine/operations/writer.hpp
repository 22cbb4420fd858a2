// This process's hand on the journal: its directory, its descriptor of the file that flushing goes on in, and the
// memory in which records are put together.
//
// Threads: one at a time, under lock(). It is process-private: whoever is stopped holds up the threads of his own
// process only.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "journal/journal.hpp"
#include "operations/store.hpp"

namespace keystile::engine {

// Positions promised by each file's head; a new file is due when half of them are used.
inline constexpr Position kPositionsPromised = Position{1} << 33;

// How large a file is made: the first ones are small, to fill a large one with zeros takes a while. For the same reason
// so is the one that a recovery makes.
inline constexpr std::uint64_t kFirstFileBytes = 1 << 20;
std::uint64_t bytes_of_file(std::uint32_t file) noexcept;

// The file that a pending `durable` names (ring/history.hpp, H2), unless it is there.
Status make_file(const Directory& directory, const Segment& segment, const JournalPoint& pending,
                 std::uint64_t bytes) noexcept;

class Writer {
public:
    explicit Writer(Directory directory);

    std::mutex& lock() noexcept { return lock_; }  // tidy-allow(mutex): process-private
    const Directory& directory() const noexcept { return directory_; }
    Directory& directory() noexcept { return directory_; }

    Status enter(const Segment& segment, std::uint32_t file) noexcept;
    bool is_in(std::uint32_t file) const noexcept {
        return journal_.file().is_open() && journal_.head().file == file;
    }
    Position start() const noexcept { return journal_.head().start; }
    // Up to here everything that is not on disk was written through this descriptor, in one piece (F3). Position 0:
    // nothing was.
    const JournalPoint& written() const noexcept { return written_; }
    // From there to there, when that was durable.
    void note_written(const JournalPoint& durable, const JournalPoint& from,
                      const JournalPoint& to) noexcept {
        const bool has_no_gap = from.position <= std::max(durable.position, written_.position);
        if (has_no_gap && to.position > written_.position) written_ = to;
    }

    // Records, from this place on. What was copied counts only while `first` is the cell of `position`.
    void begin(const Segment& segment, const JournalPoint& at) noexcept;
    // The committed operation at p. kConflict: it is gone, others were faster.
    Status add(const Store& store, Position p, RingCell cell) noexcept;
    // The rest to the file; *offset_out: behind it.
    Status finish(std::uint64_t* offset_out) noexcept;
    Status sync() const noexcept { return journal_.sync_data(); }
    // Somebody removed the file that is written to: what is synced in it is on no disk that anybody will find.
    bool is_removed() const noexcept { return has_no_name(journal_.file().file()); }

    // A next file is due: this one is full, or its promise nearly used up.
    bool is_full(const JournalPoint& at) const noexcept;
    void mark(const Segment& segment) noexcept;
    // It was this process that began a next file: once for each, so one of all makes the checkpoint that is due.
    void note_rolled() noexcept { has_rolled_ = true; }
    bool take_rolled() noexcept { return std::exchange(has_rolled_, false); }

private:
    static Status drain(void* user, const std::byte* data, std::size_t bytes) noexcept;
    bool is_there() const noexcept;

    std::mutex lock_;  // tidy-allow(mutex): process-private
    Directory directory_;
    JournalFile journal_;
    std::uint64_t bytes_ = 0;  // of journal_, when it was opened
    JournalPoint written_;
    bool has_rolled_ = false;
    std::unique_ptr<std::byte[]> memory_;
    OutBuffer out_;
    const Segment* segment_ = nullptr;
    JournalPoint at_;
    RingCell first_;
    std::uint64_t offset_ = 0;
};

}  // namespace keystile::engine
