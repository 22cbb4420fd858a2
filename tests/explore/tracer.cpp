#include "explore/tracer.hpp"

#include <keystile.h>

#include "arena/arena.hpp"

namespace keystile::explore {

using namespace keystile::engine;
using nlohmann::json;

namespace {

// Past the hooks: to look is no step of anybody's.
template <class Word>
Word raw(const Memory& memory, const void* shared) {
    Word word;
    memory.read(memory.offset_of(shared), &word, sizeof word);
    return word;
}

json event(const char* what, int process) {
    return {{"event", what}, {"process", process}};
}

const char* name_of(Tag tag) {
    constexpr std::array kNames{"FREE", "HELD", "PUBLISHED", "FIXED"};
    return kNames.at(static_cast<std::size_t>(tag));
}

}  // namespace

Tracer::Tracer(World& world) : world_(world) {
    world.tracer = this;
    world.machine().attend(this);
    find_blocks();
}

Tracer::~Tracer() {
    world_.machine().attend(nullptr);
    world_.tracer = nullptr;
}

// Those of the chunk that the first value lies in.
void Tracer::find_blocks() {
    const Segment& segment = world_.store(World::kObserver).segment;
    const Ref first = load_word(world_.slot(World::kObserver, kMain)).ref();
    const auto units = static_cast<Ref>(bytes_of(class_at(segment, first)) / kRefUnit);
    const auto chunk = segment.chunk_of(first);
    Ref ref = first;
    while (segment.chunk_of(ref - units) == chunk) ref -= units;
    for (; segment.chunk_of(ref + units - 1) == chunk; ref += units) blocks_.push_back(ref);
}

void Tracer::start() {
    is_on_ = true;
    last_ = state();
    events_ = json::array({last_});
    events_.back()["event"] = "start";
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
    const Segment& segment = world_.store(World::kObserver).segment;
    json state;
    for (const int key : {kMain, kOther}) {
        const SlotWord word(raw<Word128>(memory, &world_.slot(World::kObserver, key)));
        state["words"].push_back({word.version(), word.epoch(), word.ref()});
    }
    const ClaimRecord claim = unpack_claim(raw<Word128>(memory, &world_.slot(World::kObserver, kMain).claim));
    const bool is_over = claim.deadline_us != 0 && world_.machine().now_us >= claim.deadline_us;
    state["claim"] = {owner(claim.session, claim.generation), claim.epoch, claim.is_reclaimed,
                      claim.deadline_us, is_over};
    for (const Ref ref : blocks_) {
        const auto ctl = raw<std::uint64_t>(memory, segment.at<shm::BlockHead>(ref));
        if (ctl != 0) state["blocks"].push_back({ref, name_of(tag_of(ctl)), session_of(id_of(ctl))});
    }
    return state;
}

void Tracer::changed(int process) {
    if (!is_on_) return;
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
