// What must be true after every execution.
#include <algorithm>

#include "explore/actor.hpp"
#include "explore/history.hpp"
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

// NoLostUpdate, ExactlyOneWinner, OutcomeIsTrue, NoTornRead: the commits that were told OK, each at the version that
// it was told, and in between only such as are in doubt, lead from the value at the start to that at the end; and what
// was read on the way was there.
void World::judge_deeds(int key) {
    Actor observer(kObserver);
    if (key >= kNew) observer.make(key);
    const Value value = observer.get(key);
    const auto k = static_cast<std::size_t>(key);
    History history(versions_.at(k), texts_.at(k), is_durable());
    bool is_blind = false;
    for (std::size_t i = 0; i < deed_count; ++i) {
        const Deed& deed = deeds[i];
        if (deed.key != key) continue;
        if (deed.is_won() && deed.version > value.stamp.version)
            fail("a commit was told OK, and its version never was");
        is_blind = is_blind || deed.is_blind;
        history.add(deed);
    }
    if (is_blind) return;  // then nobody knows what followed what
    const auto is_text_right = [&] {
        return history.text_at(value.stamp.version) == std::string(value.text.data(), value.size);
    };
    const auto is_all_right = [&] { return is_text_right() && are_sights_right(key, history); };
    if (!history.reaches(value.stamp.version, [] { return true; })) {
        fail("the commits that were told OK do not lead to the version at the end");
    } else if (!history.reaches(value.stamp.version, is_text_right)) {
        fail("an update is lost, or one is there that nobody was told of");
    } else if (!history.reaches(value.stamp.version, is_all_right)) {
        fail("a read gave the value of one version and the stamp of another");
    }
}

bool World::are_sights_right(int key, const History& history) const {
    return std::all_of(
        sights.begin(), sights.begin() + static_cast<std::ptrdiff_t>(sight_count), [&](const Sight& sight) {
            if (sight.key != key || sight.process == kObserver || machine_->is_dead(sight.process))
                return true;
            const auto text = history.text_at(sight.version);
            return text && text->size() == sight.letters && (text->empty() || text->back() == sight.last);
        });
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
    drop_spares(session(kObserver).lane);
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
