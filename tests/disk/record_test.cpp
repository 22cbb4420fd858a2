// A record is read as it was written, or not at all.
#include "disk/journal_support.hpp"
#include "stress/dice.hpp"

namespace keystile::testing {

namespace {

using namespace engine;

constexpr std::uint64_t kSeed = record_seed(0x1122334455667788, 3, 7);

std::string letters(std::size_t bytes, std::uint64_t seed) {
    Dice dice(seed);
    std::string text(bytes, '\0');
    for (char& c : text) c = static_cast<char>(dice.next());
    return text;
}

void expect_round_trip(const TestRecord& record, std::size_t buffer_bytes = 1 << 20) {
    const Folder folder;
    write_all(folder.of("f"), encode(record, kSeed, buffer_bytes));
    Finding found;
    const auto records = decode(folder.of("f"), 0, kSeed, &found);
    EXPECT_EQ(found, Finding::kEnd);
    ASSERT_EQ(records.size(), 1u);
    EXPECT_TRUE(records[0] == record);
}

TEST(Record, OfAnySizeComesBackAsItWas) {
    for (const std::size_t key : {1u, 7u, 8u, 9u, 1023u, 1024u}) {
        for (const std::size_t value : {0u, 1u, 7u, 8u, 9u, 255u, 256u, 4096u, 300'000u}) {
            expect_round_trip({kPositionMax,
                               8,
                               letters(8 * (key % 5), 1),
                               {{letters(key, 2), letters(value, 3), 0, 0, 0}}});
        }
    }
}

TEST(Record, OfTheLargestValueComesBackAsItWas) {
    expect_round_trip({2,
                       8,
                       "",
                       {{"k", letters(kValueBytesMax, 1), 1, (1ull << 39) - 1, kEntryEpochMoved},
                        {"l", "", 1, 0, kEntryDeleted}}});
}

TEST(Record, OfTheMostKeysComesBackAsItWas) {
    TestRecord record{9, 16, "", {}};
    for (std::size_t i = 0; i < kMultiKeysMax; ++i)
        record.entries.push_back(
            {letters(1024, i), letters(i, i + 1), i % 9, i, i % 2 == 0 ? 0u : kEntryEpochMoved});
    expect_round_trip(record);
}

// Small pieces, large pieces, none: the bytes are the same, and so is the checksum over them.
TEST(Record, HasTheSameBytesThroughABufferOfAnySize) {
    const TestRecord record{
        5, 8, "label 01", {{"key", letters(3000, 1), 4, 2, 0}, {"another key", letters(17, 2), 0, 0, 0}}};
    const std::string whole = encode(record, kSeed);
    for (std::size_t bytes = 8; bytes < 4096; bytes += 8)
        ASSERT_EQ(encode(record, kSeed, bytes), whole) << bytes;
}

TEST(Record, IsAsLongAsItsHeadSaysOrItIsRefused) {
    std::byte memory[256];
    for (const std::uint64_t wrong : {-8, 8}) {
        OutBuffer out(memory, sizeof memory);
        RecordWriter writer(out, kSeed);
        EXPECT_EQ(writer.begin({1, {}, 1, record_bytes(0, entry_bytes(1, 8)) + wrong}), Status::kOk);
        EXPECT_EQ(writer.entry({1, 8, 0, 0, 0}, "k"), Status::kOk);
        EXPECT_EQ(out.put("12345678", 8), Status::kOk);
        EXPECT_EQ(writer.end(), Status::kCorrupt);
    }
}

TEST(Record, WithoutRoomAndWithoutADrainIsTooSmall) {
    std::byte memory[64];
    OutBuffer out(memory, sizeof memory);
    RecordWriter writer(out, kSeed);
    EXPECT_EQ(writer.begin({1, {}, 1, record_bytes(0, entry_bytes(1, 64))}), Status::kOk);
    EXPECT_EQ(writer.entry({1, 64, 0, 0, 0}, "k"), Status::kTooSmall);
}

TEST(Record, OfAnotherStoreIncarnationOrFileIsNone) {
    const Folder folder;
    write_all(folder.of("f"), encode(small_record(3), kSeed));
    for (const std::uint64_t seed :
         {record_seed(0x1122334455667789, 3, 7), record_seed(0x1122334455667788, 4, 7),
          record_seed(0x1122334455667788, 3, 8)}) {
        Finding found;
        EXPECT_TRUE(decode(folder.of("f"), 0, seed, &found).empty());
        EXPECT_EQ(found, Finding::kDamaged);
    }
}

// ---- Every damage of a small file

std::vector<TestRecord> three() {
    return {small_record(3),
            {4, 16, "", {{"a", "", 1, 2, kEntryDeleted}, {"b", "123456789", 2, 0, 0}}},
            small_record(9)};
}
std::string bytes_of(const std::vector<TestRecord>& records) {
    std::string bytes;
    for (const TestRecord& record : records) bytes += encode(record, kSeed);
    return bytes;
}
// How many of the records lie before `offset`, whole.
std::size_t count_before(const std::vector<TestRecord>& records, std::size_t offset) {
    std::size_t end = 0, count = 0;
    for (const TestRecord& record : records) {
        end += encode(record, kSeed).size();
        if (end > offset) break;
        ++count;
    }
    return count;
}

TEST(DamagedRecords, CutOffAnywhereAreThoseThatAreWhole) {
    const Folder folder;
    const auto records = three();
    const std::string bytes = bytes_of(records);
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        write_all(folder.of("f"), bytes.substr(0, length));
        Finding found;
        Damage damage;
        const auto seen = decode(folder.of("f"), 0, kSeed, &found, &damage);
        const std::size_t count = count_before(records, length);
        ASSERT_EQ(seen.size(), count) << length;
        ASSERT_TRUE(std::equal(seen.begin(), seen.end(), records.begin())) << length;
        const bool is_at_end =
            count_before(records, length) != count_before(records, length - 1) || length == 0;
        ASSERT_EQ(found, is_at_end ? Finding::kEnd : Finding::kDamaged) << length;
        ASSERT_EQ(damage.what == nullptr, is_at_end) << length;
    }
}

TEST(DamagedRecords, WithAnyBitFlippedAreThoseBeforeIt) {
    const Folder folder;
    const auto records = three();
    const std::string bytes = bytes_of(records) + std::string(64, '\0');
    const std::size_t end = bytes.size() - 64;
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        std::string wrong = bytes;
        wrong[bit / 8] = static_cast<char>(wrong[bit / 8] ^ (1 << bit % 8));
        write_all(folder.of("f"), wrong);
        Finding found;
        const auto seen = decode(folder.of("f"), 0, kSeed, &found);
        ASSERT_EQ(seen.size(), count_before(records, bit / 8)) << bit;
        ASSERT_TRUE(std::equal(seen.begin(), seen.end(), records.begin())) << bit;
        // Of the zeros behind the end only the first eight are looked at.
        ASSERT_EQ(found, bit / 8 < end + 8 ? Finding::kDamaged : Finding::kEnd) << bit;
    }
}

TEST(DamagedRecords, WithAnyWordReplacedAreThoseBeforeIt) {
    const Folder folder;
    const auto records = three();
    const std::string bytes = bytes_of(records);
    for (std::size_t at = 0; at < bytes.size(); at += 4) {
        for (const std::uint32_t word : {0u, 1u, 1024u, 1025u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
            std::string wrong = bytes;
            wrong.replace(at, 4, reinterpret_cast<const char*>(&word), 4);
            if (wrong == bytes) continue;
            write_all(folder.of("f"), wrong);
            Finding found;
            const auto seen = decode(folder.of("f"), 0, kSeed, &found);
            ASSERT_EQ(seen.size(), count_before(records, at)) << at << " " << word;
        }
    }
}

// A right checksum is no proof of sense: somebody may have computed it over nonsense.
TEST(DamagedRecords, WithARightChecksumOverNonsenseAreRefused) {
    const Folder folder;
    const struct {
        std::size_t at;
        std::uint64_t word;
        std::size_t size;
        const char* what;
    } cases[] = {
        {4, 0, 4, "a record's count of entries is impossible"},
        {4, 1025, 4, "a record's count of entries is impossible"},
        {4, 2, 4, "a record's length is impossible"},
        {8, 1ull << 60, 8, "a record's length is impossible"},
        {8, 136, 8, "a record is cut off"},
        {16, 0, 8, "a record's position is impossible"},
        {16, 1ull << 56, 8, "a record's position is impossible"},
        {16, 2, 8, "an entry expects a version of later"},
        {24, 5, 8, "a record's label is too long"},
        {40, 1025, 4, "an entry's key is too long"},
        {40, 0, 4, "an entry has no key"},
        {40, 60, 4, "an entry is longer than its place"},
        {40, 16, 4, "an entry is longer than its place"},
        {44, 4, 4, "an entry has unknown flags"},
        {44, 1, 4, "an entry is deleted and has a value"},
        {48, (16u << 20) + 1, 8, "an entry's value is too long"},
        {48, 16u << 20, 8, "an entry is longer than its place"},
        {48, 0, 8, "a record is longer than its entries"},
        {64, 1ull << 39, 8, "an entry's stamp is impossible"},
    };
    const std::string bytes = encode(small_record(3), kSeed);
    for (const auto& c : cases) {
        std::string wrong = bytes;
        wrong.replace(c.at, c.size, reinterpret_cast<const char*>(&c.word), c.size);
        const std::uint64_t sum = XXH3_64bits_withSeed(wrong.data(), wrong.size() - 8, kSeed);
        wrong.replace(wrong.size() - 8, 8, reinterpret_cast<const char*>(&sum), 8);
        write_all(folder.of("f"), wrong);
        Finding found;
        Damage damage;
        EXPECT_TRUE(decode(folder.of("f"), 0, kSeed, &found, &damage).empty());
        EXPECT_EQ(found, Finding::kDamaged);
        EXPECT_STREQ(damage.what, c.what) << c.at << " " << c.word;
    }
}

}  // namespace

}  // namespace keystile::testing
