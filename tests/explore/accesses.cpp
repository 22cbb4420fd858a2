// The machine's accesses to memory: what each asks, what it leaves.
#include <algorithm>
#include <cstring>

#include "explore/machine.hpp"

namespace keystile::explore {

void Machine::note(std::size_t offset, std::size_t bytes, bool is_write) noexcept {
    const int process = current_ < 0 ? Sharing::kJudge : current_;
    if (current_ < 0 && is_write) return;
    for (std::size_t g = offset / 8; g <= (offset + bytes - 1) / 8; ++g) {
        sharing_.note(static_cast<Granule>(g), process, is_write);
    }
}

void Machine::learn(const void* from, std::size_t bytes) noexcept {
    std::uint64_t& told = current().told;
    for (std::size_t at = 0; at < bytes; at += sizeof told) {
        std::uint64_t word = 0;
        copy_word(&word, static_cast<const std::byte*>(from) + at, std::min(bytes - at, sizeof word));
        // Both steps are reversible: no two words do the same to it.
        told = (told ^ word) * 0x9E3779B97F4A7C15u + kToldNothing;
        told ^= told >> 32;
    }
}

bool Machine::is_observed(const StoreBuffer::Store& store) const noexcept {
    for (Granule g = store.first(); g <= store.last(); ++g) {
        if (sharing_.is_observed(g)) return true;
    }
    return limits_.pruning == Pruning::kNone;
}

bool Machine::is_contended(std::size_t offset, std::size_t bytes) const noexcept {
    if (limits_.pruning == Pruning::kNone) return true;
    for (std::size_t g = offset / 8; g <= (offset + bytes - 1) / 8; ++g) {
        if (sharing_.is_contended(static_cast<Granule>(g))) return true;
    }
    return false;
}

void Machine::load(std::size_t offset, void* to, std::size_t bytes) noexcept {
    if (bytes == 0) return;
    note(offset, bytes, false);
    if (current_ >= 0) point(offset, bytes, false);
    memory_.read(offset, to, bytes);
    if (current_ < 0) return;
    current().stores.forward(offset, to, bytes);
    learn(to, bytes);
}

void Machine::store(std::size_t offset, const void* from, std::size_t bytes) noexcept {
    if (bytes == 0) return;
    note(offset, bytes, true);
    if (current_ < 0) return memory_.write(offset, from, bytes);
    if (limits_.pruning != Pruning::kNone) {
        count_step();
    } else {
        point(offset, bytes, false);
    }
    writer_ = current_;  // a full buffer drains
    current().stores.push(memory_, offset, from, bytes);
}

void Machine::lock(std::size_t offset, std::size_t bytes) noexcept {
    note(offset, bytes, false);
    note(offset, bytes, true);
    if (current_ < 0) return;
    point(offset, bytes, true);
    drain(current(), current().stores.count());
}

void Machine::find(std::size_t offset, void* to, std::size_t bytes) noexcept {
    memory_.read(offset, to, bytes);
    if (current_ >= 0) learn(to, bytes);
}

void Machine::write(std::size_t offset, const void* from, std::size_t bytes) noexcept {
    writer_ = current_;
    memory_.write(offset, from, bytes);
}

bool Machine::is_alive(std::uint32_t participant) noexcept {
    const int process = process_of_.at(participant);
    if (process < 0) return true;
    if (current_ >= 0 && process != current_) point(0, 0, false);
    const bool is_alive = !is_dead(process);
    if (current_ >= 0) learn(&is_alive, sizeof is_alive);
    return is_alive;
}

}  // namespace keystile::explore
