#include "history/log.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <ctime>
#include <new>

namespace keystile::history {

namespace {

void* shared_memory(std::size_t bytes) {
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) std::abort();
    return at;
}

}  // namespace

Table* make_table(int logs, std::uint32_t calls_each) {
    if (logs > kLogsMax) std::abort();
    auto* const table = new (shared_memory(sizeof(Table))) Table();
    table->count = logs;
    for (int i = 0; i < logs; ++i) {
        Log& log = table->logs[i];
        log.capacity = calls_each;
        log.calls = static_cast<Call*>(shared_memory(calls_each * sizeof(Call)));
    }
    return table;
}

void drop_table(Table* table) {
    for (const Log& log : table->logs) {
        if (log.calls != nullptr) ::munmap(log.calls, log.capacity * sizeof(Call));
    }
    ::munmap(table, sizeof(Table));
}

std::uint64_t now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

}  // namespace keystile::history
