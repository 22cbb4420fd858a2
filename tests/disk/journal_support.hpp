// A directory of a test's own, and histories written into it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "journal/journal.hpp"

namespace keystile::testing {

using engine::Status;

// A folder in $TMPDIR, else in memory, where a thousand damaged files take no time; gone with the object.
class Folder {
public:
    Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder();
    const std::string& path() const noexcept { return path_; }
    std::string of(const std::string& name) const { return path_ + "/" + name; }
    std::vector<std::string> names() const;  // sorted

private:
    std::string path_;
};

std::string read_all(const std::string& path);
void write_all(const std::string& path, const std::string& bytes);

struct TestEntry {
    std::string key, value;
    std::uint64_t version = 0, epoch = 0;
    std::uint32_t flags = 0;
    friend bool operator==(const TestEntry&, const TestEntry&) = default;
};
struct TestRecord {
    engine::Position position = 0;
    std::uint64_t wall_ns = 0;
    std::string label;  // a multiple of 8 bytes
    std::vector<TestEntry> entries;
    friend bool operator==(const TestRecord&, const TestRecord&) = default;
};
// A commit at `position` of one small key.
TestRecord small_record(engine::Position position);

// The record's bytes, through a buffer of that size.
std::string encode(const TestRecord& record, std::uint64_t seed, std::size_t buffer_bytes = 1 << 20);
// All records from the front, until what `found_out` says.
std::vector<TestRecord> decode(const std::string& path, std::uint64_t offset, std::uint64_t seed,
                               engine::Finding* found_out, engine::Damage* damage_out = nullptr);

// What a scan showed.
struct Seen final : engine::HistoryVisitor {
    Status on_checkpoint_entry(const engine::EntryView& entry) noexcept override;
    Status on_record(const engine::RecordHead& record, const engine::JournalPoint& at) noexcept override;
    Status on_entry(const engine::RecordHead& record, const engine::EntryView& entry) noexcept override;
    std::vector<engine::Position> positions() const;

    std::vector<TestEntry> checkpoint;
    std::vector<TestRecord> records;
    std::vector<engine::JournalPoint> places;
    Status status = Status::kOk;
    engine::HistoryEnd end;
};
Seen scan(const std::string& folder, engine::ScanScope scope = engine::ScanScope::kReplay);

// A store's directory, written as its flushers would.
class TestHistory {
public:
    static constexpr std::uint64_t kStore = 0x1122334455667788;
    static constexpr engine::Position kLimit = 1'000'000;
    static constexpr std::uint64_t kFileBytes = 16 * 1024;

    explicit TestHistory(const std::string& folder);
    Status opened() const noexcept { return opened_; }

    engine::Directory& directory() noexcept { return directory_; }
    const engine::JournalPoint& at() const noexcept { return at_; }
    // The next file begins at at().position, or above.
    Status next_file(engine::Position start = 0);
    // As if everybody had died: what is there is read, and the history goes on behind its limit, in a new file.
    Status recover();
    void next_incarnation() noexcept { ++incarnation_; }
    Status add(const TestRecord& record);
    Status add_small(int count);  // at the next positions
    Status sync() { return journal_.sync_data(); }
    Status mark();  // what was added is on disk
    // Of these entries, with start and end as they are.
    Status checkpoint(const engine::JournalPoint& start, const std::vector<TestEntry>& entries);

    const std::vector<TestRecord>& records() const noexcept { return records_; }

private:
    engine::Directory directory_;
    Status opened_;
    engine::JournalFile journal_;
    engine::JournalPoint at_{1, 0, 0};
    std::uint64_t incarnation_ = 1;
    std::vector<TestRecord> records_;
};

}  // namespace keystile::testing
