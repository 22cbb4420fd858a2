#include "explore/tracer.hpp"

#include <keystile.h>

#include "arena/arena.hpp"

namespace keystile::explore {

using namespace keystile::engine;
using nlohmann::json;

namespace {

// Past the hooks: to look is no step of anybody's. `offset`: known from before, finding out is one.
template <class Word>
Word raw(const Memory& memory, std::size_t offset) {
    Word word;
    memory.read(offset, &word, sizeof word);
    return word;
}

// Of an owner word; [0, 0]: none.
json id(std::uint64_t ctl) {
    return {session_of(id_of(ctl)), sequence_of(id_of(ctl))};
}

json event(const char* what, int process) {
    return {{"event", what}, {"process", process}};
}

const char* name_of(Tag tag) {
    constexpr std::array kTagNames{"FREE", "HELD", "PUBLISHED", "FIXED"};
    return kTagNames.at(static_cast<std::size_t>(tag));
}

}  // namespace

Tracer::Tracer(World& world) : world_(world) {
    world.tracer = this;
    world.machine().attend(this);
    find_places();
}

Tracer::~Tracer() {
    world_.machine().attend(nullptr);
    world_.tracer = nullptr;
}

// The blocks: those of the chunk that the first value lies in.
void Tracer::find_places() {
    const Memory& memory = world_.machine().memory();
    const Segment& segment = world_.store(World::kObserver).segment;
    for (const int key : {kMain, kOther})
        words_.push_back({segment.ref_of(&world_.slot(World::kObserver, key)),
                          memory.offset_of(&world_.slot(World::kObserver, key))});
    claim_ = {0, memory.offset_of(&world_.slot(World::kObserver, kMain).claim)};

    const Ref first = load_word(world_.slot(World::kObserver, kMain)).ref();
    const auto units = static_cast<Ref>(bytes_of(class_at(segment, first)) / kRefUnit);
    const auto chunk = segment.chunk_of(first);
    Ref ref = first;
    while (segment.chunk_of(ref - units) == chunk) ref -= units;
    for (; segment.chunk_of(ref + units - 1) == chunk; ref += units)
        blocks_.push_back({ref, memory.offset_of(segment.at<shm::BlockHead>(ref))});

    for (std::uint32_t i = 0; i < segment.session_count(); ++i)
        sessions_.push_back({i, memory.offset_of(&segment.session(i)->lane.state)});
    for (const auto* places : {&words_, &blocks_, &sessions_}) {
        for (const Place& place : *places) offsets_.insert(place.offset);
    }
    offsets_.insert(claim_.offset);
}

void Tracer::start() {
    is_on_ = true;
    last_ = state();
    json start = last_;
    start["event"] = "start";
    for (int i = 0; i < world_.processes(); ++i) start["processes"].push_back(session(i));
    events_ = json::array({start});
}

// What a process has left in its session record, and what it knows of its spare block.
json Tracer::session(int process) const {
    const Lane& lane = world_.session(process).lane;
    const shm::Lane& record = lane.shared();
    const Spare& spare = lane.spare;
    int key = -1;
    for (int i = 0; i < static_cast<int>(words_.size()); ++i) {
        if (words_[static_cast<std::size_t>(i)].number == peek(record.slot)) key = i;
    }
    json holdings;
    for (const Holding kind : {Holding::kValue, Holding::kOtherValue})
        holdings.push_back(peek(record.holding[static_cast<int>(kind)]));
    return {{"session", lane.id().index},
            {"sequence", peek(record.sequence)},
            {"holdings", holdings},
            {"line", {key, peek(record.old_ref), id(peek(record.old_ctl))}},
            {"spare", {spare.ref, id(spare.ctl), static_cast<int>(spare.holding)}}};
}

const json& Tracer::stop() {
    is_on_ = false;
    return events_;
}

// The process, or -1: a session that was opened or closed meanwhile, or one of nobody that acts.
int Tracer::owner(std::uint32_t session, std::uint32_t generation) const {
    for (int i = 0; i < world_.processes(); ++i) {
        if (world_.session_at_start(i) == SessionId{session, generation}) return i;
    }
    return -1;
}

json Tracer::state() const {
    const Memory& memory = world_.machine().memory();
    json state;
    for (const Place& place : words_) {
        const SlotWord word(raw<Word128>(memory, place.offset));
        state["words"].push_back({word.version(), word.epoch(), word.ref()});
    }
    const ClaimRecord claim = unpack_claim(raw<Word128>(memory, claim_.offset));
    const bool is_over = claim.deadline_us != 0 && world_.machine().now_us >= claim.deadline_us;
    state["claim"] = {owner(claim.session, claim.generation), claim.epoch, claim.is_reclaimed,
                      claim.deadline_us, is_over};
    for (const Place& place : blocks_) {
        const auto ctl = raw<std::uint64_t>(memory, place.offset);
        if (ctl != 0)
            state["blocks"].push_back({place.number, name_of(tag_of(ctl)), id(ctl)});  // 0: never used
    }
    for (const Place& place : sessions_) {
        const SessionState record = unpack_session(raw<std::uint64_t>(memory, place.offset));
        if (record.generation != 0)
            state["sessions"].push_back({place.number, record.is_open, record.generation});
    }
    return state;
}

void Tracer::changed(int process, std::size_t offset) {
    if (!is_on_ || !offsets_.contains(offset)) return;
    json now = state();
    if (now == last_) return;
    last_ = now;
    now.update(event("change", process));
    events_.push_back(std::move(now));
}

void Tracer::begins(int process, const char* goal, int key, Stamp seen) {
    if (!is_on_) return;
    json begin = event("begin", process);
    begin["goal"] = goal;
    begin["key"] = key;
    begin["seen"] = {seen.version, seen.epoch & kEpochMax};  // without the incarnation
    events_.push_back(std::move(begin));
}

void Tracer::is_told(int process, Status status) {
    if (!is_on_) return;
    json answer = event("answer", process);
    answer["status"] = ks_status_name(static_cast<ks_status>(status));
    events_.push_back(std::move(answer));
}

void Tracer::died(int process) {
    if (is_on_) events_.push_back(event("death", process));
}

}  // namespace keystile::explore
