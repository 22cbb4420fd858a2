#include "explore/tracer.hpp"

#include <keystile.h>

#include "arena/arena.hpp"

namespace keystile::explore {

using namespace keystile::engine;

namespace {

// Past the hooks: to look is no step of anybody's.
template <class Word>
Word raw(const Memory& memory, std::size_t offset) {
    Word word;
    memory.read(offset, &word, sizeof word);
    return word;
}

std::string list(const std::string& items) {
    return "[" + (items.empty() ? items : items.substr(1)) + "]";
}

std::string quoted(const std::string& text) {
    return "\"" + text + "\"";
}

std::string number(std::uint64_t value) {
    return std::to_string(value);
}

const char* name_of(Tag tag) {
    constexpr const char* kNames[] = {"FREE", "HELD", "PUBLISHED", "FIXED"};
    return kNames[static_cast<std::size_t>(tag)];
}

}  // namespace

Tracer::Tracer(World& world) : world_(world) {
    world.tracer = this;
    world.machine().memory().watch = [] { explore::world().tracer->changed(); };
    world.machine().on_death = [](int process) { explore::world().tracer->died(process); };
    find_blocks();
}

Tracer::~Tracer() {
    world_.machine().memory().watch = nullptr;
    world_.machine().on_death = nullptr;
    world_.tracer = nullptr;
}

// Those of the chunk that the first value lies in.
void Tracer::find_blocks() {
    const Segment& segment = world_.store(World::kObserver).segment;
    const Ref first = load_word(world_.slot(World::kObserver, kMain)).ref();
    const auto units = static_cast<Ref>(bytes_of(class_at(segment, first)) / kRefUnit);
    const std::uint32_t chunk = segment.chunk_of(first);
    Ref ref = first;
    while (segment.chunk_of(ref - units) == chunk) ref -= units;
    for (; segment.chunk_of(ref + units - 1) == chunk; ref += units) blocks_.push_back(ref);
}

void Tracer::start() {
    is_on_ = true;
    events_.clear();
    goals_ = {};
    start_ = last_ = state();
}

void Tracer::stop() {
    is_on_ = false;
}

std::string Tracer::owner(std::uint32_t session) const {
    for (int i = 0; i < kProcessesMax; ++i) {
        const Store& store = world_.store(i);
        if (store.segment.file().is_open() && world_.session(i).lane.id().index == session) return number(i);
    }
    return "-1";  // a quiet one, that prepared
}

std::string Tracer::state() const {
    const Memory& memory = world_.machine().memory();
    const Segment& segment = world_.store(World::kObserver).segment;
    std::string words, blocks;
    for (const int key : {kMain, kOther}) {
        const std::size_t at = memory.offset_of(&world_.slot(World::kObserver, key));
        const SlotWord word(raw<Word128>(memory, at));
        words += ",[" + number(word.version()) + "," + number(word.epoch()) + "," + number(word.ref()) + "]";
    }
    const std::size_t slot = memory.offset_of(&world_.slot(World::kObserver, kMain));
    const ClaimRecord claim = unpack_claim(raw<Word128>(memory, slot + offsetof(shm::Slot, claim)));
    const std::string record = owner(claim.session) + "," + number(claim.epoch) + "," +
                               (claim.is_reclaimed ? "true" : "false") + "," +
                               (claim.deadline_us != 0 ? "true" : "false");
    for (const Ref ref : blocks_) {
        const auto ctl = raw<std::uint64_t>(memory, memory.offset_of(segment.at<shm::BlockHead>(ref)));
        if (ctl == 0) continue;  // never used
        blocks += ",[" + number(ref) + "," + quoted(name_of(tag_of(ctl))) + "," +
                  owner(session_of(id_of(ctl))) + "]";
    }
    return "\"words\":" + list(words) + ",\"claim\":[" + record + "],\"blocks\":" + list(blocks);
}

void Tracer::changed() {
    if (!is_on_) return;
    std::string now = state();
    if (now == last_) return;
    events_ += ",{\"event\":\"change\"," + now + "}";
    last_ = std::move(now);
}

void Tracer::begins(int process, const char* goal) {
    if (is_on_) goals_.at(static_cast<std::size_t>(process)) += "," + quoted(goal);
}

void Tracer::ends(int process, Status status) {
    if (!is_on_) return;
    events_ += ",{\"event\":\"end\",\"process\":" + number(static_cast<std::uint64_t>(process)) +
               ",\"status\":" + quoted(ks_status_name(static_cast<ks_status>(status))) + "}";
}

void Tracer::died(int process) {
    if (is_on_)
        events_ += ",{\"event\":\"death\",\"process\":" + number(static_cast<std::uint64_t>(process)) + "}";
}

std::string Tracer::text() const {
    std::string goals;
    for (int i = 0; i < world_.processes(); ++i) goals += "," + list(goals_.at(static_cast<std::size_t>(i)));
    return "\"goals\":" + list(goals) + ",\"start\":{" + start_ + "},\"events\":" + list(events_);
}

}  // namespace keystile::explore
