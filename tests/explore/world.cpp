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
constexpr std::uint64_t kSeed = 0x6B657975;  // the same in every run: so each takes the same path

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

std::string_view key_name(int key) noexcept {
    return key == kMain ? "k" : key == kOther ? "o" : "n";
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
    segment.header().hash_seed = kSeed;  // before the first key
    store(kObserver).hash_seed = kSeed;
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
    for (const int key : {kMain, kOther})
        versions_.at(static_cast<std::size_t>(key)) = load_word(slot(kObserver, key)).version();
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
    demand("opening a store", open_store(kFolder, file_, options, "explore", &store(process)));
    demand("opening a session", open_session(store(process), &session(process)));
}

shm::Slot& World::slot(int process, int key) noexcept {
    return *store(process).segment.slot_at(slots_.at(static_cast<std::size_t>(key)));
}

void World::fail(const std::string& what) noexcept {
    if (wrong_.empty()) wrong_ = what;
}

void World::begin() {
    memory_.undo();
    sessions_ = sessions_at_start_;
    deed_count = 0;
    claim_count = claims_at_start_;
    for (std::size_t i = 0; i < claim_count; ++i) claims[i].is_over = false;
    notes = {};
    wrong_.clear();
    machine_->now_us = now_us_;
}

void World::trace_to(std::FILE* trace) {
    if (trace == nullptr) return;
    machine_->trace([trace](const std::string& line) { std::fprintf(trace, "%s\n", line.c_str()); },
                    [this](std::size_t offset) { return name_of_place(store(kObserver).segment, offset); });
}

std::uint64_t World::end() const {
    std::uint64_t end = memory_.fingerprint_of([this](Granule granule) { return sharing_.is_observed(granule); });
    for (std::size_t i = 0; i < deed_count; ++i) {
        const Deed& deed = deeds[i];
        const auto told = static_cast<std::uint64_t>(deed.status) << 32 | deed.version << 8 |
                          static_cast<unsigned char>(deed.letter);
        if (!machine_->is_dead(deed.process)) end += mix(static_cast<Granule>(deed.process), told);
    }
    for (int i = 0; i < scenario_.processes; ++i) end = end * 3 + (machine_->is_dead(i) ? 1 : 2);
    return end;
}

// ---- Judging --------------------------------------------------------------------------------------------

std::string World::judge() {
    if (machine_->is_stuck()) fail("a process made no progress");
    if (scenario_.judge != nullptr) scenario_.judge(*this);
    for (const int key : {kMain, kOther}) judge_deeds(key, slot(kObserver, key));
    judge_new();
    judge_claims();
    judge_living();
    if (wrong_.empty()) judge_store();
    return wrong_;
}

// NoLostUpdate, ExactlyOneWinner, OutcomeIsTrue: the final value names every commit that was told OK at the
// version that it was told, none that was refused, and in between only such as are in doubt.
void World::judge_deeds(int key, const shm::Slot& slot) {
    const SlotWord word = load_word(slot);
    std::array<const Deed*, kValueBytes> at_version{};
    std::uint64_t doubts = 0, version = versions_.at(static_cast<std::size_t>(key));
    bool is_deleted = false;
    for (std::size_t i = 0; i < deed_count; ++i) {
        const Deed& deed = deeds[i];
        if (deed.key != key) continue;
        is_deleted = is_deleted || (deed.is_delete && (!deed.is_ended || deed.status == Status::kOk));
        if (!deed.is_ended) ++doubts;
        if (!deed.is_ended || deed.status != Status::kOk) continue;
        ++version;
        if (deed.version >= at_version.size()) return fail("a version from nowhere");
        if (at_version[deed.version] != nullptr) fail("two commits won the same version");
        at_version[deed.version] = &deed;
        if (deed.version > word.version()) fail("a commit was told OK, and its version never was");
    }
    if (word.version() < version || word.version() > version + doubts)
        fail("the version does not count the commits that were OK");

    Actor observer(kObserver);
    if (key == kNew) observer.make();
    const Value value = observer.get(key);
    if (value.status == Status::kNotFound && value.stamp.version != 0 && !is_deleted)
        fail("a value is gone, and nobody deleted it");
    const std::string_view text(value.text.data(), value.size);
    for (std::size_t i = 0; i < text.size(); ++i) judge_letter(key, text[i], i + 1, at_version.at(i + 1));
    for (std::size_t v = 1; v <= text.size(); ++v) {
        const Deed* const deed = at_version.at(v);
        if (deed != nullptr && text[v - 1] != deed->letter && text[v - 1] != '-') fail("an update is lost");
    }
}

void World::judge_new() {
    Segment& segment = store(kObserver).segment;
    const std::string_view name = key_name(kNew);
    const KeyBytes key{name.data(), name.size()};
    shm::Slot* made = nullptr;
    const Status s = find_slot(segment, key, hash_of(key, store(kObserver).hash_seed), &made);
    if (s == Status::kOk) return judge_deeds(kNew, *made);
    for (std::size_t i = 0; i < deed_count; ++i) {
        if (deeds[i].key == kNew) fail("a key that was made is not found");
    }
}

// A letter that no commit told OK put there: of before the execution, forgotten by a delete, or of one in doubt.
void World::judge_letter(int key, char letter, std::uint64_t version, const Deed* ok) {
    if (ok != nullptr || letter == '-' || version <= versions_.at(static_cast<std::size_t>(key))) return;
    for (std::size_t i = 0; i < deed_count; ++i) {
        const Deed& deed = deeds[i];
        if (deed.key == key && deed.letter == letter && !deed.is_ended) return;
    }
    fail("a commit is in the value that nobody was told of");
}

void World::judge_claims() {
    for (std::size_t i = 0; i < claim_count; ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            if (claims[i].key == claims[j].key && claims[i].epoch == claims[j].epoch)
                fail("one epoch had two owners");
        }
    }
}

// The living are not reaped.
void World::judge_living() {
    for (int i = 0; i < scenario_.processes; ++i) {
        if (machine_->is_dead(i)) continue;
        const Session& its = session(i);
        const SessionState state = unpack_session(session_state(its.store->segment, its.lane.id().index));
        if (!state.is_open || state.generation != its.lane.id().generation ||
            !(state.participant == its.store->self))
            return fail("a living session was reaped");
    }
}

// NoBlockLost, NoBlockShared, and the keys go on being of use.
void World::judge_store() {
    for (int i = 0; i < scenario_.processes; ++i) {
        if (!machine_->is_dead(i)) close_session(session(i));
    }
    Actor observer(kObserver);
    observer.reap();
    for (int i = 0; i < scenario_.processes; ++i) {
        const bool is_buried = !is_alive_tag(peek(store(i).segment.participant(store(i).self.index)->state));
        if (is_buried != machine_->is_dead(i)) fail("a dead participant was not buried, or a living one was");
    }
    for (const int key : {kMain, kOther}) {
        if (observer.update(key, 'z') != Status::kOk) fail("a key cannot be written any more");
    }
    drop_spare(session(kObserver).lane);
    if (!wrong_.empty() || clean_.contains(memory_.fingerprint())) return;
    CheckReport report;
    const auto tell = [](void* user, const char* text) { static_cast<World*>(user)->fail(std::string("check: ") + text); };
    if (check(store(kObserver), tell, this, &report) != Status::kOk) fail("check found the store damaged");
    if (report.blocks_unreaped != 0) fail("check: something of the dead was not reaped");
    if (report.blocks_in_flight != 0) fail("check: something is in flight, and nobody is there");
    if (wrong_.empty()) clean_.insert(memory_.fingerprint());
}

}  // namespace keystile::explore
