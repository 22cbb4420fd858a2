#include "stress/history.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <ctime>
#include <new>

namespace keystile::testing {

std::uint64_t now_ns() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
}

History::History(int logs, std::uint64_t events_each) : logs_(logs) {
    if (logs > kLogsMax) std::abort();
    bytes_ = sizeof(Table) + static_cast<std::size_t>(logs) * events_each * sizeof(Event);
    void* const at =
        ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) std::abort();
    table_ = new (at) Table();
    auto* const events = reinterpret_cast<Event*>(static_cast<std::byte*>(at) + sizeof(Table));
    for (int i = 0; i < logs; ++i) {
        table_->log[i].events = events + static_cast<std::uint64_t>(i) * events_each;
        table_->log[i].capacity = events_each;
    }
}

History::~History() {
    ::munmap(table_, bytes_);
}

std::uint64_t History::next_worker() noexcept {
    return table_->workers.fetch_add(1) + 1;
}

std::uint64_t History::events() const noexcept {
    std::uint64_t sum = 0;
    for (int i = 0; i < logs_; ++i) sum += table_->log[i].count.load(std::memory_order_relaxed);
    return sum;
}

void History::bury(int index, std::uint64_t now) noexcept {
    Log& dead = table_->log[index];
    for (std::uint64_t i = dead.count.load(); i-- > 0;) {
        Event& event = dead.events[i];
        if (event.end_ns != 0 || event.died_ns != 0) break;  // those of ks_get_many lie side by side
        event.died_ns = now;
    }
}

std::vector<const Event*> History::all() const {
    std::vector<const Event*> events;
    events.reserve(this->events());
    for (int i = 0; i < logs_; ++i) {
        const Log& one = table_->log[i];
        for (std::uint64_t at = 0; at < one.count.load(); ++at) events.push_back(&one.events[at]);
    }
    return events;
}

}  // namespace keystile::testing
