#include "explore/world.hpp"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "explore/actor.hpp"
#include "explore/places.hpp"
#include "explore/scenario.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

World* the_world = nullptr;

constexpr char kFolder[] = "/dev/shm";

[[noreturn]] void give_up(const char* what, Status status) {
    std::fprintf(stderr, "keystile_explore: %s: %d\n", what, static_cast<int>(status));
    std::exit(2);
}

void demand(const char* what, Status status) {
    if (status != Status::kOk) give_up(what, status);
}

}  // namespace

World& world() noexcept {
    return *the_world;
}

Status find_or_insert(Session& session, std::string_view name, shm::Slot** slot_out) noexcept {
    const KeyBytes key{name.data(), name.size()};
    const std::uint64_t hash = hash_of(key, session.store->hash_seed);
    const Status s = find_slot(session.store->segment, key, hash, slot_out);
    return s == Status::kNotFound ? insert_slot(session.lane, key, hash, slot_out) : s;
}

World::World(const Scenario& scenario)
    : scenario_(scenario),
      file_("keystile.explore-" + std::to_string(::getpid())),
      memory_(),
      sharing_(kSegmentBytesMin) {
    the_world = this;
    attach(kObserver);
    Segment& segment = store(kObserver).segment;
    segment.header().hash_seed = kHashSeed;  // before the first key
    store(kObserver).hash_seed = kHashSeed;
    for (int i = 0; i < scenario.processes; ++i) attach(i);
    remove_file(std::string(kFolder) + "/" + file_);

    Actor quiet(kObserver);
    for (const int key : {kMain, kOther}) {
        shm::Slot* made = nullptr;
        demand("preparing a key", find_or_insert(session(kObserver), key_name(key), &made));
        slots_.at(static_cast<std::size_t>(key)) = segment.ref_of(made);
        demand("preparing a value", quiet.update(key, 'a'));
    }
    if (scenario.prepare != nullptr) scenario.prepare(*this);
    for (const int key : {kMain, kOther}) {
        const Value value = quiet.get(key);
        versions_.at(static_cast<std::size_t>(key)) = value.stamp.version;
        texts_.at(static_cast<std::size_t>(key)).assign(value.text.data(), value.size);
    }
    claims_at_start_ = claim_count;
    sessions_at_start_ = sessions_;

    memory_.add_mapping(reinterpret_cast<std::byte*>(&segment.header()), segment.regions().segment_bytes);
    for (int i = 0; i < scenario.processes; ++i) {
        memory_.add_mapping(reinterpret_cast<std::byte*>(&store(i).segment.header()),
                            segment.regions().segment_bytes);
    }
    machine_ = std::make_unique<Machine>(memory_, sharing_, scenario.processes);
    for (int i = 0; i < scenario.processes; ++i) machine_->bind(store(i).self.index, i);
    machine_->now_us = now_us_;
    memory_.start();
}

World::~World() {
    memory_.undo();
    machine_.reset();
    the_world = nullptr;
    for (Store& store : stores_) {
        if (store.segment.file().is_open()) close_store(store);
    }
}

void World::attach(int process) {
    SegmentOptions options;
    options.expected_keys = 1;
    options.max_bytes = kSegmentBytesMin;
    options.ring_bits = 1;  // two cells: a third operation laps
    options.is_durable = scenario_.is_durable;
    demand("opening a store", open_store(kFolder, file_, options, "explore", &store(process)));
    demand("opening a session", open_session(store(process), &session(process)));
}

shm::Slot& World::slot(int process, int key) noexcept {
    return *store(process).segment.slot_at(slots_.at(static_cast<std::size_t>(key)));
}

int World::processes() const noexcept {
    return scenario_.processes;
}

void World::fail(const std::string& what) noexcept {
    if (wrong_.empty()) wrong_ = what;
}

void World::begin() {
    memory_.undo();
    sessions_ = sessions_at_start_;
    deed_count = sight_count = 0;
    claim_count = claims_at_start_;
    notes = {};
    is_made = {};
    wrong_.clear();
    machine_->now_us = now_us_;
}

void World::trace_to(std::FILE* trace) {
    if (trace == nullptr) return;
    machine_->trace([trace](const std::string& line) { std::fprintf(trace, "%s\n", line.c_str()); },
                    [this](std::size_t offset) { return name_of_place(store(kObserver).segment, offset); });
}

namespace {

std::uint64_t with(std::uint64_t number, auto... more) noexcept {
    ((number = mix(1, number ^ static_cast<std::uint64_t>(more))), ...);
    return number;
}

}  // namespace

std::uint64_t World::end() const {
    std::uint64_t end =
        memory_.fingerprint_of([this](Granule granule) { return sharing_.is_observed(granule); });
    for (int i = 0; i < scenario_.processes; ++i)
        end += mix(static_cast<Granule>(i), machine_->is_dead(i) ? 0 : told_to(i));
    return end;
}

std::uint64_t World::told_to(int process) const noexcept {
    std::uint64_t told = 1;
    for (std::size_t i = 0; i < deed_count; ++i) {
        const Deed& deed = deeds[i];
        if (deed.process == process)
            told = with(told, deed.key, deed.letter, deed.is_ended, deed.status, deed.version,
                        deed.seen.version);
    }
    for (std::size_t i = 0; i < sight_count && !machine_->is_dead(process); ++i) {
        const Sight& sight = sights[i];
        if (sight.process == process)
            told += mix(static_cast<Granule>(sight.key), with(sight.version, sight.letters, sight.last));
    }
    for (std::size_t i = 0; i < claim_count; ++i) {
        if (claims[i].process == process) told = with(told, claims[i].key, claims[i].epoch);
    }
    return told;
}

std::uint64_t World::left_by(int process) const noexcept {
    std::uint64_t left = told_to(process);
    for (const std::uint64_t note : notes) left = with(left, note);
    if (machine_->is_dead(process)) return left;
    const Lane& lane = sessions_.at(static_cast<std::size_t>(process)).lane;
    left = with(left, lane.id().index, lane.id().generation, lane.spare.ref, lane.spare.ctl);
    return with(left, lane.spare_descriptor.ref, lane.spare_descriptor.ctl);
}

// ---- Judging --------------------------------------------------------------------------------------------

}  // namespace keystile::explore
