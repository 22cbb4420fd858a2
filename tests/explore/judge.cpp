// What must be true after every execution.
#include "explore/actor.hpp"
#include "explore/scenario.hpp"
#include "explore/world.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

bool is_in(const Value& value, char letter) {
    return std::string_view(value.text.data(), value.size).find(letter) != std::string_view::npos;
}

}  // namespace

std::string World::judge() {
    if (machine_->is_known()) return wrong_;
    if (machine_->is_stuck()) fail("a process made no progress");
    if (scenario_.judge != nullptr) scenario_.judge(*this);
    for (const int key : {kMain, kOther}) judge_deeds(key);
    for (int key = kNew; key < kKeys; ++key) {
        if (is_made.at(static_cast<std::size_t>(key))) judge_made(key);
    }
    judge_many();
    judge_claims();
    judge_living();
    if (wrong_.empty()) judge_store();
    return wrong_;
}

// NoLostUpdate, ExactlyOneWinner, OutcomeIsTrue: the final value names every commit that was told OK at the
// version that it was told, none that was refused, and in between only such as are in doubt.
void World::judge_deeds(int key) {
    Actor observer(kObserver);
    if (key >= kNew) observer.make(key);
    const Value value = observer.get(key);
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
        if (deed.version > value.stamp.version) fail("a commit was told OK, and its version never was");
    }
    if (value.stamp.version < version || value.stamp.version > version + doubts)
        fail("the version does not count the commits that were OK");

    if (value.status == Status::kNotFound && value.stamp.version != 0 && !is_deleted)
        fail("a value is gone, and nobody deleted it");
    const std::string_view text(value.text.data(), value.size);
    for (std::size_t i = 0; i < text.size(); ++i) judge_letter(key, text[i], i + 1, at_version.at(i + 1));
    for (std::size_t v = 1; v <= text.size(); ++v) {
        const Deed* const deed = at_version.at(v);
        if (deed != nullptr && text[v - 1] != deed->letter && text[v - 1] != '-') fail("an update is lost");
    }
}

void World::judge_made(int key) {
    Segment& segment = store(kObserver).segment;
    const std::string_view name = key_name(key);
    const KeyBytes bytes{name.data(), name.size()};
    shm::Slot* made = nullptr;
    const Status s = find_slot(segment, bytes, hash_of(bytes, store(kObserver).hash_seed), &made);
    if (s == Status::kOk) return judge_deeds(key);
    for (std::size_t i = 0; i < deed_count; ++i) {
        if (deeds[i].key == key) fail("a key that was made is not found");
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

// AllOrNothing: the letter of a commit of both keys is in both values or in neither.
void World::judge_many() {
    Actor observer(kObserver);
    const Value main = observer.get(kMain), other = observer.get(kOther);
    for (std::size_t i = 0; i < deed_count; ++i) {
        if (!deeds[i].is_of_many) continue;
        if (is_in(main, deeds[i].letter) != is_in(other, deeds[i].letter))
            fail("half of a commit of several keys was done");
    }
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
    const auto tell = [](void* user, const char* text) {
        static_cast<World*>(user)->fail(std::string("check: ") + text);
    };
    if (check(store(kObserver), tell, this, &report) != Status::kOk) fail("check found the store damaged");
    if (report.blocks_unreaped != 0) fail("check: something of the dead was not reaped");
    if (report.blocks_in_flight != 0) fail("check: something is in flight, and nobody is there");
    if (wrong_.empty()) clean_.insert(memory_.fingerprint());
}

}  // namespace keystile::explore
