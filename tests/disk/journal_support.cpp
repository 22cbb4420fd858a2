#include "disk/journal_support.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

namespace keystile::testing {

using namespace engine;

namespace {

TestEntry entry_of(const EntryView& entry) {
    return {{reinterpret_cast<const char*>(entry.key), entry.head.key_size},
            {reinterpret_cast<const char*>(entry.value), entry.head.value_size},
            entry.head.version,
            entry.head.epoch,
            entry.head.flags};
}

TestRecord record_of(const RecordHead& head) {
    TestRecord record{head.position, head.signature.word & ~kLabelWordsMask, "", {}};
    record.label.assign(reinterpret_cast<const char*>(head.signature.label), head.signature.bytes());
    return record;
}

EntryHead head_of(const TestEntry& entry) {
    return {entry.key.size(), entry.value.size(), entry.version, entry.epoch, entry.flags};
}

Status append(void* user, const std::byte* data, std::size_t bytes) noexcept {
    static_cast<std::string*>(user)->append(reinterpret_cast<const char*>(data), bytes);
    return Status::kOk;
}

}  // namespace

Folder::Folder() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/dev/shm") + "/keystile-journal-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
}

Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::vector<std::string> Folder::names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

std::string read_all(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::string bytes(in ? std::filesystem::file_size(path) : 0, '\0');
    in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return bytes;
}

void write_all(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TestRecord small_record(Position position) {
    const std::string name = std::to_string(position);
    return {position,
            position * 800,
            "tester00",
            {{"key " + name, "value " + name, position - 1, 4, kEntryEpochMoved}}};
}

std::string encode(const TestRecord& record, std::uint64_t seed, std::size_t buffer_bytes) {
    std::string bytes;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(buffer_bytes);
    OutBuffer out(memory.get(), buffer_bytes, append, &bytes);
    RecordWriter writer(out, seed);
    std::uint64_t sum = 0;
    for (const TestEntry& entry : record.entries) sum += entry_bytes(entry.key.size(), entry.value.size());
    const std::size_t words = record.label.size() / 8;
    RecordHead head{record.position,
                    {record.wall_ns | words, {}},
                    static_cast<std::uint32_t>(record.entries.size()),
                    record_bytes(words, sum)};
    record.label.copy(reinterpret_cast<char*>(head.signature.label), record.label.size());
    EXPECT_EQ(writer.begin(head), Status::kOk);
    for (const TestEntry& entry : record.entries) {
        EXPECT_EQ(writer.entry(head_of(entry), entry.key.data()), Status::kOk);
        EXPECT_EQ(writer.out().put(entry.value.data(), entry.value.size()), Status::kOk);
    }
    EXPECT_EQ(writer.end(), Status::kOk);
    EXPECT_EQ(out.drain(), Status::kOk);
    EXPECT_EQ(bytes.size(), head.bytes);
    return bytes;
}

std::vector<TestRecord> decode(const std::string& path, std::uint64_t offset, std::uint64_t seed,
                               Finding* found_out, Damage* damage_out) {
    std::vector<TestRecord> records;
    DiskFile file;
    FileWindow window;
    EXPECT_EQ(disk_open(path, Access::kReadOnly, &file), Status::kOk);
    EXPECT_EQ(window.open(file), Status::kOk);
    RecordReader reader(window, offset, seed);
    while ((*found_out = reader.next()) == Finding::kOne) {
        records.push_back(record_of(reader.record()));
        EntryView entry;
        while (reader.next_entry(&entry) == Finding::kOne) records.back().entries.push_back(entry_of(entry));
    }
    if (damage_out != nullptr) *damage_out = reader.damage();
    return records;
}

Status Seen::on_checkpoint_entry(const EntryView& entry) noexcept {
    checkpoint.push_back(entry_of(entry));
    return Status::kOk;
}
Status Seen::on_record(const RecordHead& record, const JournalPoint& at) noexcept {
    records.push_back(record_of(record));
    places.push_back(at);
    return Status::kOk;
}
Status Seen::on_entry(const RecordHead&, const EntryView& entry) noexcept {
    records.back().entries.push_back(entry_of(entry));
    return Status::kOk;
}
std::vector<Position> Seen::positions() const {
    std::vector<Position> positions;
    for (const TestRecord& record : records) positions.push_back(record.position);
    return positions;
}

Seen scan(const std::string& folder, ScanScope scope) {
    Seen seen;
    Directory directory;
    EXPECT_EQ(Directory::open(folder, {.must_exist = true, .is_read_only = true}, &directory), Status::kOk);
    seen.status = scan_history(directory, scope, seen, &seen.end);
    return seen;
}

TestHistory::TestHistory(const std::string& folder) : opened_(Directory::open(folder, {}, &directory_)) {}

Status TestHistory::next_file(Position start) {
    at_.position = std::max(start, at_.position);
    const JournalHead head{
        kStore, incarnation_, at_.file + 1, at_.position, at_.offset, kLimit * incarnation_, 1};
    Status s = make_journal(directory_, head, kFileBytes);
    Damage damage;
    if (s == Status::kOk)
        s = JournalFile::open(directory_, head.file, Access::kReadWrite, &journal_, &damage);
    if (s == Status::kOk) at_ = {at_.position, head.file, kJournalHeadBytes};
    return s;
}

Status TestHistory::recover() {
    Seen seen;
    Status s = scan_history(directory_, ScanScope::kReplay, seen, &seen.end);
    if (s == Status::kOk) s = secure_end(directory_, seen.end);
    if (s != Status::kOk) return s;
    incarnation_ = seen.end.incarnation + 1;
    at_ = {seen.end.limit, seen.end.file, seen.end.end.offset};
    return next_file();
}

Status TestHistory::add(const TestRecord& record) {
    const std::string bytes = encode(record, journal_.seed());
    const Status s = journal_.write(at_.offset, bytes.data(), bytes.size());
    if (s != Status::kOk) return s;
    at_ = {record.position + 1, at_.file, at_.offset + bytes.size()};
    records_.push_back(record);
    return s;
}

Status TestHistory::add_small(int count) {
    Status s = Status::kOk;
    for (int i = 0; s == Status::kOk && i < count; ++i) s = add(small_record(at_.position));
    return s;
}

Status TestHistory::mark() {
    return write_mark(directory_, {kStore, incarnation_, 0, at_});
}

Status TestHistory::checkpoint(const JournalPoint& start, const std::vector<TestEntry>& entries) {
    CheckpointWriter writer;
    Status s = writer.begin(directory_, {kStore, incarnation_, start, kLimit * incarnation_, 1});
    for (const TestEntry& entry : entries) {
        if (s == Status::kOk) s = writer.entry(head_of(entry), entry.key.data());
        if (s == Status::kOk) s = writer.out().put(entry.value.data(), entry.value.size());
    }
    return s == Status::kOk ? writer.finish(at_) : s;
}

}  // namespace keystile::testing
