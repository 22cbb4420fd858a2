// The journal's own work, without the store: bytes a second, one thread, memory only but for sync/….
//
//   copy/V        memcpy of values of V bytes into a buffer: the floor
//   encode/V      the same values as records of one key each (head, key, padding, XXH3)
//   decode/V      those records read back from a file in memory, checked, each entry looked at
//   sync/filled   write 4 KiB over zeros and fdatasync, in $TMPDIR
//   sync/appended the same at the end of a file that grows
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "journal/journal.hpp"

namespace keystile::bench {
namespace {

using namespace engine;

constexpr std::size_t kBufferBytes = 4 << 20;
constexpr char kKey[] = "sixteen byte key";
constexpr std::size_t kKeySize = 16;

void need(Status s) {
    if (s != Status::kOk) std::abort();
}

std::size_t per_buffer(std::size_t value_size) {
    return kBufferBytes / record_bytes(1, entry_bytes(kKeySize, value_size));
}

void encode_all(OutBuffer& out, const std::string& value) {
    RecordWriter writer(out, 7);
    const std::size_t count = per_buffer(value.size());
    const std::uint64_t bytes = record_bytes(1, entry_bytes(kKeySize, value.size()));
    for (std::size_t i = 0; i < count; ++i) {
        need(writer.begin({i + 2, {(i << 10) | 1, {}}, 1, bytes}));
        need(writer.entry({kKeySize, value.size(), i, 2, 0}, kKey));
        need(out.put(value.data(), value.size()));
        need(writer.end());
    }
}

void copy(benchmark::State& state) {
    const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
    const auto memory = std::make_unique<std::byte[]>(kBufferBytes);
    const std::size_t count = per_buffer(value.size());
    for (auto _ : state) {
        for (std::size_t i = 0; i < count; ++i)
            std::memcpy(memory.get() + i * value.size(), value.data(), value.size());
        benchmark::ClobberMemory();
    }
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(count * value.size()));
}

void encode(benchmark::State& state) {
    const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
    const auto memory = std::make_unique<std::byte[]>(kBufferBytes);
    OutBuffer out(memory.get(), kBufferBytes);
    for (auto _ : state) {
        out.clear();
        encode_all(out, value);
    }
    const auto count = static_cast<std::int64_t>(per_buffer(value.size()));
    state.SetBytesProcessed(state.iterations() * count * state.range(0));
    state.SetItemsProcessed(state.iterations() * count);
}

// A file of the benchmark's own, without a name as soon as it is open.
DiskFile scratch_file(const char* folder) {
    DiskFile file;
    const std::string path = std::string(folder) + "/keystile-bench." + std::to_string(random_bits());
    need(disk_create(path, 0600, &file));
    need(disk_unlink(path));
    return file;
}

void decode(benchmark::State& state) {
    const std::string value(static_cast<std::size_t>(state.range(0)), 'v');
    const auto memory = std::make_unique<std::byte[]>(kBufferBytes);
    OutBuffer out(memory.get(), kBufferBytes);
    encode_all(out, value);
    const DiskFile file = scratch_file("/dev/shm");
    need(disk_write(file, 0, out.data(), out.bytes()));
    std::int64_t records = 0;
    for (auto _ : state) {
        FileWindow window;
        need(window.open(file));
        RecordReader reader(window, 0, 7);
        EntryView entry;
        while (reader.next() == Finding::kOne) {
            while (reader.next_entry(&entry) == Finding::kOne) benchmark::DoNotOptimize(entry.value);
            ++records;
        }
    }
    state.SetBytesProcessed(records * state.range(0));
    state.SetItemsProcessed(records);
}

constexpr std::size_t kSyncBytes = 4096;

void sync(benchmark::State& state, bool is_filled) {
    const char* folder = std::getenv("TMPDIR");
    const DiskFile file = scratch_file(folder != nullptr ? folder : "/tmp");
    const std::string zeros(8 << 20, '\0'), bytes(kSyncBytes, 'b');
    if (is_filled) need(disk_write(file, 0, zeros.data(), zeros.size()));
    need(disk_sync(file));
    std::uint64_t at = 0;
    for (auto _ : state) {
        need(disk_write(file, at, bytes.data(), bytes.size()));
        need(disk_sync_data(file));
        at += kSyncBytes;
        if (is_filled) at %= zeros.size();
    }
}

BENCHMARK(copy)->RangeMultiplier(16)->Range(64, 1 << 18);
BENCHMARK(encode)->RangeMultiplier(16)->Range(64, 1 << 18);
BENCHMARK(decode)->RangeMultiplier(16)->Range(64, 1 << 18);
BENCHMARK_CAPTURE(sync, filled, true)->UseRealTime();
BENCHMARK_CAPTURE(sync, appended, false)->UseRealTime();

}  // namespace
}  // namespace keystile::bench
