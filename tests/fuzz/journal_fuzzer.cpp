// libFuzzer looks for bytes that make a reader of a durable store's files crash, hang or read out of bounds. Built and
// run as segment_fuzzer.cpp, without its options. Not part of CI: tests/disk has every bit of a small file.
//
// Input: a byte that says what the rest is: records, a checkpoint, or both files of a directory that is scanned; and
// whether their checksums are made right first, so that what lies behind them is met too.
#if defined(KEYSTILE_LIBFUZZER)

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "journal/journal.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

constexpr std::uint64_t kStore = 5;
constexpr std::uint64_t kSeed = record_seed(kStore, 1, 1);

// Bytes and sums of them, so that each is touched.
std::uint64_t touched = 0;
void touch(const EntryView& entry) {
    if (entry.head.key_size > kKeyBytesMax || entry.head.value_size > kValueBytesMax) std::abort();
    touched ^= XXH3_64bits(entry.key, entry.head.key_size) ^ XXH3_64bits(entry.value, entry.head.value_size);
}

struct Toucher final : HistoryVisitor {
    Status on_checkpoint_entry(const EntryView& entry) noexcept override { return touch(entry), Status::kOk; }
    Status on_record(const RecordHead& record, const JournalPoint&) noexcept override {
        if (record.position <= last) std::abort();
        last = record.position;
        return Status::kOk;
    }
    Status on_entry(const RecordHead& record, const EntryView& entry) noexcept override {
        if (record.position != last || entry.head.version >= last) std::abort();
        return touch(entry), Status::kOk;
    }
    Position last = 0;
};

template <class T>
T load(const std::string& bytes, std::size_t at) {
    T value{};
    if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
void put_sum(std::string& bytes, std::size_t from, std::size_t at, std::uint64_t seed) {
    const std::uint64_t sum = XXH3_64bits_withSeed(bytes.data() + from, at - from, seed);
    bytes.replace(at, sizeof sum, reinterpret_cast<const char*>(&sum), sizeof sum);
}

void mend_records(std::string& bytes) {
    for (std::size_t at = 0; at + sizeof(disk::RecordHead) < bytes.size();) {
        const auto head = load<disk::RecordHead>(bytes, at);
        if (head.bytes < sizeof head + 8 || head.bytes > bytes.size() - at) return;
        put_sum(bytes, at, at + head.bytes - 8, kSeed);
        at += head.bytes;
    }
}

void mend_checkpoint(std::string& bytes) {
    if (bytes.size() < sizeof(disk::CheckpointHead)) return;
    put_sum(bytes, 0, offsetof(disk::CheckpointHead, checksum), 0);
    const std::uint64_t seed = checkpoint_seed(load<disk::CheckpointHead>(bytes, 0).store_id, 1);
    for (std::size_t at = sizeof(disk::CheckpointHead); at + sizeof(disk::EntryHead) + 8 <= bytes.size();) {
        const auto head = load<disk::EntryHead>(bytes, at);
        if (head.value_size > bytes.size()) return;
        const std::uint64_t all = entry_bytes(head.key_size, head.value_size);
        if (all + 8 > bytes.size() - at) return;
        put_sum(bytes, at, at + all, seed);
        at += all + 8;
    }
}

// A directory in memory, the same for every input.
class Place {
public:
    Place() {
        path_ = "/dev/shm/keystile-fuzz-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr || Directory::open(path_, {}, &directory_) != Status::kOk)
            std::abort();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() { std::filesystem::remove_all(path_); }
    const Directory& directory() const { return directory_; }
    void write(const std::string& name, const std::string& bytes) const {
        const std::string path = directory_.path_of(name);
        DiskFile file;
        disk_unlink(path);
        if (disk_create(path, 0600, &file) != Status::kOk) std::abort();
        if (disk_write(file, 0, bytes.data(), bytes.size()) != Status::kOk) std::abort();
    }
    void remove(const std::string& name) const { disk_unlink(directory_.path_of(name)); }

private:
    std::string path_;
    Directory directory_;
};

void read_records(const Place& place, const std::string& bytes) {
    place.write("records", bytes);
    DiskFile file;
    FileWindow window;
    if (disk_open(place.directory().path_of("records"), Access::kReadOnly, &file) != Status::kOk)
        std::abort();
    if (window.open(file) != Status::kOk) std::abort();
    RecordReader reader(window, 0, kSeed);
    EntryView entry;
    while (reader.next() == Finding::kOne) {
        std::uint32_t count = 0;
        for (; reader.next_entry(&entry) == Finding::kOne; ++count) touch(entry);
        if (count != reader.record().entries) std::abort();
    }
}

void read_checkpoint(const Place& place, const std::string& bytes) {
    place.write(checkpoint_name(1), bytes);
    CheckpointReader reader;
    EntryView entry;
    if (reader.open(place.directory(), 1) == Status::kOk && reader.check() == Status::kOk) {
        while (reader.next(&entry) == Finding::kOne) touch(entry);
    }
    place.remove(checkpoint_name(1));
}

void scan_directory(const Place& place, std::string bytes, bool is_mended) {
    static const bool is_made =
        make_journal(place.directory(), {kStore, 1, 1, 1, 0, kPositionMax, 0}, 0) == Status::kOk;
    static DiskFile journal;
    if (!is_made) std::abort();
    const std::size_t half = bytes.size() / 2;
    std::string records = bytes.substr(0, half), checkpoint = bytes.substr(half);
    if (is_mended) mend_records(records);
    if (is_mended) mend_checkpoint(checkpoint);
    if (!journal.is_open() &&
        disk_open(place.directory().path_of(journal_name(1)), Access::kReadWrite, &journal) != Status::kOk)
        std::abort();
    if (set_length(journal.file(), kJournalHeadBytes) != Status::kOk) std::abort();
    if (disk_write(journal, kJournalHeadBytes, records.data(), records.size()) != Status::kOk) std::abort();
    place.write(checkpoint_name(1), checkpoint);
    Toucher toucher;
    HistoryEnd end;
    const Status s = scan_history(place.directory(), ScanScope::kReplay, toucher, &end);
    if (s != Status::kOk && s != Status::kJournalCorrupt && s != Status::kLayout) std::abort();
    if (s == Status::kJournalCorrupt && end.damage.is_none()) std::abort();
    place.remove(checkpoint_name(1));
}

}  // namespace

}  // namespace keystile::testing

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    using namespace keystile::testing;
    static const Place place;
    if (size < 1) return -1;
    std::string bytes(reinterpret_cast<const char*>(input) + 1, size - 1);
    const bool is_mended = (input[0] & 1) != 0;
    switch (input[0] >> 1 & 3) {
        case 0:
            if (is_mended) mend_records(bytes);
            read_records(place, bytes);
            break;
        case 1:
            if (is_mended) mend_checkpoint(bytes);
            read_checkpoint(place, bytes);
            break;
        default:
            scan_directory(place, bytes, is_mended);
    }
    return 0;
}

#endif
