#include "explore/places.hpp"

#include <array>
#include <cstdio>
#include <span>

#include "arena/arena.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

struct Field {
    std::size_t offset;
    const char* name;
};

// The last field that begins at or before the offset.
std::string in(std::span<const Field> fields, const char* what, std::size_t index, std::size_t inside) {
    const char* name = "";
    for (const Field& field : fields) {
        if (field.offset <= inside) name = field.name;
    }
    char text[96];
    std::snprintf(text, sizeof text, "%s %zu %s", what, index, name);
    return text;
}

constexpr Field kSlot[] = {{offsetof(shm::Slot, word), "word"}, {offsetof(shm::Slot, claim), "claim"},
                           {offsetof(shm::Slot, key), "key"},   {offsetof(shm::Slot, state), "state"},
                           {offsetof(shm::Slot, turn), "turn"}, {offsetof(shm::Slot, next), "next"}};
constexpr Field kBlock[] = {
    {offsetof(shm::BlockHead, ctl), "ctl"},         {offsetof(shm::BlockHead, version), "version"},
    {offsetof(shm::BlockHead, content), "content"}, {offsetof(shm::BlockHead, place), "place"},
    {offsetof(shm::Block, expected), "expected"},   {offsetof(shm::Block, payload), "payload"}};
constexpr Field kSession[] = {
    {offsetof(shm::Lane, state), "state"},     {offsetof(shm::Lane, sequence), "sequence"},
    {offsetof(shm::Lane, old_ctl), "old_ctl"}, {offsetof(shm::Lane, old_ref), "old_ref"},
    {offsetof(shm::Lane, slot), "slot"},       {offsetof(shm::Lane, holding), "holding"},
    {offsetof(shm::Session, total), "counter"}};
constexpr Field kParticipant[] = {{offsetof(shm::Participant, state), "state"},
                                  {offsetof(shm::Participant, pid), "identity"}};
constexpr Field kHeader[] = {{0, "constants"},
                             {offsetof(shm::Header, is_destroyed), "is_destroyed"},
                             {offsetof(shm::Header, participants), "limits"},
                             {offsetof(shm::Header, next_session), "next_session"},
                             {offsetof(shm::Header, next_chunk), "next_chunk"},
                             {offsetof(shm::Header, next_slot), "next_slot"},
                             {offsetof(shm::Header, keys), "keys"},
                             {offsetof(shm::Header, ring_tail), "ring"}};

template <class Record>
std::string in_table(std::span<const Field> fields, const char* what, std::size_t inside) {
    return in(fields, what, inside / sizeof(Record), inside % sizeof(Record));
}

}  // namespace

std::string name_of_place(const Segment& segment, std::size_t offset) {
    const Regions& r = segment.regions();
    if (offset < r.participants) return in(kHeader, "header", 0, offset);
    if (offset < r.sessions)
        return in_table<shm::Participant>(kParticipant, "participant", offset - r.participants);
    if (offset < r.ring) return in_table<shm::Session>(kSession, "session", offset - r.sessions);
    if (offset < r.root) return in_table<Word128>({}, "ring cell", offset - r.ring);
    if (offset < r.home_map) return in_table<std::uint64_t>({}, "root cell", offset - r.root);
    if (offset < r.homes) return in_table<std::uint64_t>({}, "home map", offset - r.home_map);
    if (offset < r.chunks) return in_table<shm::Slot>(kSlot, "home slot", offset - r.homes);
    if (offset < r.arena) return in_table<shm::Chunk>({}, "chunk", offset - r.chunks);
    const auto ref = static_cast<Ref>(offset / kRefUnit);
    const SizeClass size_class = class_at(segment, ref);
    const std::size_t bytes = size_class == kClasses ? sizeof(shm::Slot) : bytes_of(size_class);
    const std::size_t inside = (offset - r.arena) % kChunkBytes % bytes;
    const bool is_block = size_class != kClasses;
    return in(is_block ? std::span<const Field>(kBlock) : std::span<const Field>(kSlot),
              is_block ? "block" : "slot", (offset - inside) / kRefUnit, inside);
}

}  // namespace keystile::explore
