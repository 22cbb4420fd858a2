#include "segment/segment_file.hpp"

#include <algorithm>
#include <bit>

#include "segment/participants.hpp"

namespace keystile::engine {

namespace {

constexpr std::uint64_t kGrowBytesMin = 1ull << 20;   // the arena's step: 16 chunks …
constexpr std::uint64_t kGrowBytesMax = 64ull << 20;  // … and at most 1/64 of what there is
constexpr std::uint64_t kFirstArenaBytes = 4 * kChunkBytes;
constexpr std::uint64_t kFirstRecords = 64;  // participants and sessions: an empty store stays below 2 MiB
constexpr int kOpenTries = 16;               // of a file that others create and destroy while we look

// Twice as many root entries as keys, so that most lookups end at their first entry.
std::uint32_t root_bits_for(std::uint64_t expected_keys) noexcept {
    const std::uint64_t keys = expected_keys != 0 ? expected_keys : kExpectedKeysDefault;
    if (keys > (1ull << (kRootBitsMax - 1))) return kRootBitsMax;
    const auto bits = static_cast<std::uint32_t>(std::bit_width(keys * 2 - 1));
    return std::clamp(bits, kRootBitsMin, kRootBitsMax);
}

void raise_limit(shm::Limit& limit, std::uint64_t bytes) noexcept {
    std::uint64_t seen = peek(limit.bytes);
    // order[segment.limit]: release. Partner: count_below() and is_allocated() load with acquire; what they
    //   may touch was allocated before. A crash before leaves allocated bytes that the next grower allocates
    //   again.
    while (seen < bytes &&
           !limit.bytes.compare_exchange_weak(seen, bytes, memory_order_release, memory_order_relaxed)) {
    }
}

std::uint64_t count_below(const shm::Limit& limit, std::uint64_t unit, std::uint64_t count_max) noexcept {
    // order[segment.limit.load]: acquire. Partner: raise_limit. The clamp is against a corrupt limit.
    return std::min(limit.bytes.load(memory_order_acquire) / unit, count_max);
}

// The same file through an open file of its own. A mapping keeps its open file alive in a forked child, and
// with it the liveness lock, for as long as the child lives: so the mapping must not come from the descriptor
// that carries the lock.
Status open_again(const File& file, const std::string& path, Access access, File* file_out) noexcept {
    const std::string self = "/proc/self/fd/" + std::to_string(file.fd());
    if (open_file(self, access, file_out) == Status::kOk) return Status::kOk;
    const Status s = open_file(path, access, file_out);  // no /proc here
    if (s != Status::kOk) return s;
    return is_at_path(file, path) && is_at_path(*file_out, path) ? Status::kOk : own_fault(Status::kNoStore);
}

void fill_header(shm::Header& header, std::uint32_t root_bits, const SegmentOptions& options,
                 std::uint64_t segment_bytes) noexcept {
    header.layout_version = kLayoutVersion;
    header.root_bits = root_bits;
    header.ring_bits = options.ring_bits;
    header.is_durable = options.is_durable ? 1 : 0;
    header.fingerprint = layout_fingerprint();
    header.segment_bytes = segment_bytes;
    header.store_id = random_bits() | 1u;
    header.hash_seed = random_bits();
    header.handle_secret = random_bits() | 1u;
    header.boot_id[0] = self().boot_id[0];
    header.boot_id[1] = self().boot_id[1];
    header.time_namespace = self().time_namespace;
    header.incarnation = 1;
    header.created_wall_ns = wall_ns();
}

}  // namespace

Status Segment::create(const std::string& folder, const std::string& path,
                       const SegmentOptions& options) noexcept {
    const std::uint64_t segment_bytes =
        options.max_bytes != 0 ? round_up(options.max_bytes, kPageBytes) : kSegmentBytesDefault;
    const std::uint32_t root_bits = root_bits_for(options.expected_keys);
    const Regions regions = regions_of(segment_bytes, root_bits);
    if (segment_bytes < kSegmentBytesMin || segment_bytes > kSegmentBytesMax ||
        regions.chunk_count < kFirstArenaBytes / kChunkBytes) {
        return Status::kArgument;
    }
    Segment fresh;
    if (const Status s = create_unnamed(folder, options.has_group ? 0660 : 0600, &fresh.file_);
        s != Status::kOk)
        return s;
    if (options.has_group) {
        if (const Status s = set_group(fresh.file_, options.group); s != Status::kOk) return s;
    }
    if (const Status s = set_length(fresh.file_, segment_bytes); s != Status::kOk) return s;

    const std::uint64_t participants_bytes = kFirstRecords * sizeof(shm::Participant);
    const std::uint64_t sessions_bytes = kFirstRecords * sizeof(shm::Session);
    const struct {
        std::uint64_t offset, bytes;
    } first[] = {{0, kPageBytes},
                 {regions.participants, participants_bytes},
                 {regions.sessions, sessions_bytes},
                 {regions.ring, sizeof(Word128) << options.ring_bits},
                 {regions.root, 8ull << root_bits},
                 {regions.home_map, regions.homes - regions.home_map},
                 {regions.chunks, kPageBytes},
                 {regions.arena, kFirstArenaBytes}};
    for (const auto& range : first) {
        if (const Status s = allocate_range(fresh.file_, range.offset, range.bytes); s != Status::kOk)
            return s;
    }
    if (const Status s = Mapping::map(fresh.file_, Access::kReadWrite, segment_bytes, &fresh.mapping_);
        s != Status::kOk) {
        return s;
    }
    fresh.base_ = fresh.mapping_.base();
    shm::Header& header = fresh.header();
    fill_header(header, root_bits, options, segment_bytes);
    raise_limit(header.participants, participants_bytes);
    raise_limit(header.sessions, sessions_bytes);
    raise_limit(header.ring, sizeof(Word128) << options.ring_bits);
    raise_limit(header.chunks, kPageBytes);
    raise_limit(header.arena, kFirstArenaBytes);
    // order[segment.magic]: release. Partner: validate() loads it first, with acquire. A crash before it
    //   leaves an unnamed file, which the kernel drops.
    header.magic.store(kMagic, memory_order_release);
    KEYSTILE_CRASH_POINT("segment.create.before_link");
    return link_into_place(fresh.file_, path);
}

void Segment::start_ring(std::uint64_t positions) noexcept {
    const std::uint64_t lap = positions >> ring_bits_;
    for (std::uint64_t i = 0; i < ring_cells(); ++i) *ring_cell(i) = {lap << 3, 0};
    poke(header().ring_tail.value, positions);
    poke(header().ring_head.value, positions);
}

Status Segment::validate() noexcept {
    std::uint64_t bytes = 0;
    if (const Status s = file_bytes(file_, &bytes); s != Status::kOk) return s;
    // Check before touching: an empty file has no page, so a look at it would be a SIGBUS. Behind the end of a
    // short one the page is zero.
    if (bytes == 0) return Status::kNotAStore;
    Mapping first_page;
    if (const Status s = Mapping::map(file_, Access::kReadOnly, kPageBytes, &first_page); s != Status::kOk)
        return s;
    const auto& header = *reinterpret_cast<const shm::Header*>(first_page.base());
    // order[segment.magic.load]: acquire. Partner: create()'s release store: everything else is read after
    //   it.
    if (header.magic.load(memory_order_acquire) != kMagic) return Status::kNotAStore;
    if (bytes < sizeof(shm::Header)) return Status::kCorrupt;  // one of ours, cut off
    if (header.layout_version != kLayoutVersion || header.fingerprint != layout_fingerprint())
        return Status::kLayout;
    if (header.segment_bytes != bytes || bytes < kSegmentBytesMin || bytes > kSegmentBytesMax ||
        header.root_bits < kRootBitsMin || header.root_bits > kRootBitsMax || header.is_durable > 1 ||
        header.ring_bits > kRingBitsMax || peek(header.ring.bytes) < sizeof(Word128) << header.ring_bits) {
        return Status::kCorrupt;
    }
    // Processes of before a reboot are all dead, and a volatile store promised nothing beyond it.
    if (header.boot_id[0] != self().boot_id[0] || header.boot_id[1] != self().boot_id[1])
        return Status::kCorrupt;
    if (header.time_namespace != self().time_namespace) return Status::kNamespace;
    if (peek(header.is_destroyed) != 0) return Status::kDestroyed;
    root_bits_ = header.root_bits;
    ring_bits_ = header.ring_bits;
    is_durable_ = header.is_durable != 0;
    store_id_ = header.store_id;
    regions_ = regions_of(bytes, root_bits_);
    return regions_.chunk_count == 0 ? Status::kCorrupt : Status::kOk;
}

const char* Segment::header_problem() const noexcept {
    const shm::Header& now = header();
    if (peek(now.magic) != kMagic) return "the header's magic is gone: nobody can open this store any more";
    if (now.layout_version != kLayoutVersion) return "the header names another layout version";
    if (now.fingerprint != layout_fingerprint()) return "the header has the fingerprint of another layout";
    if (now.segment_bytes != regions_.segment_bytes || now.root_bits != root_bits_)
        return "the header's sizes are not those that the segment was opened with";
    return now.store_id == store_id_ ? nullptr : "the header has the id of another store";
}

Status Segment::attach(const SegmentOptions& options) noexcept {
    is_read_only_ = options.is_read_only;
    const Access access = is_read_only_ ? Access::kReadOnly : Access::kReadWrite;
    if (const Status s = open_file(path_, access, &file_); s != Status::kOk) return s;
    if (const Status s = validate(); s != Status::kOk) return s;
    File mapped;
    if (const Status s = open_again(file_, path_, access, &mapped); s != Status::kOk) return s;
    if (const Status s = Mapping::map(mapped, access, regions_.segment_bytes, &mapping_); s != Status::kOk) {
        return s;
    }
    base_ = mapping_.base();
    if (chunk_count() == 0) return Status::kCorrupt;
    poke(arena_known_, chunk_count() * kChunkBytes);
    if (options.has_huge_pages) mapping_.advise_huge_pages();
    if (options.is_prefaulted && !is_read_only_) {
        mapping_.prefault(regions_.root, 8ull << root_bits_);
        mapping_.prefault(regions_.arena, chunk_count() * kChunkBytes);
    }
    return Status::kOk;
}

Status Segment::open(const std::string& folder, const std::string& file, const SegmentOptions& options,
                     Segment* segment_out) noexcept {
    if (!cpu_is_supported()) return Status::kCpu;
    const std::string path = folder + "/" + file;
    segment_out->path_ = path;
    for (int tries = 0; tries < kOpenTries; ++tries) {
        if (!options.must_create) {
            const Status found = segment_out->attach(options);
            // Destroyed between finding and opening it: its name is free again, look once more.
            const bool is_gone = found == Status::kDestroyed && !is_at_path(segment_out->file_, path);
            if (!is_gone && (found != Status::kNoStore || options.must_exist || options.is_read_only))
                return found;
        }
        const Status made = create(folder, path, options);
        if (made == Status::kOk) return segment_out->attach(options);
        if (made != Status::kExists || options.must_create) return made;
    }
    return Status::kNotAStore;  // something that can be neither opened nor replaced, such as a dangling link
}

std::uint32_t Segment::participant_count() const noexcept {
    return static_cast<std::uint32_t>(
        count_below(header().participants, sizeof(shm::Participant), kParticipantsMax));
}
std::uint32_t Segment::session_count() const noexcept {
    return static_cast<std::uint32_t>(count_below(header().sessions, sizeof(shm::Session), kSessionsMax));
}
std::uint64_t Segment::chunk_count() const noexcept {
    // Both the chunks and their entries in the table must be there.
    return std::min(count_below(header().arena, kChunkBytes, regions_.chunk_count),
                    count_below(header().chunks, sizeof(shm::Chunk), regions_.chunk_count));
}

bool Segment::is_allocated(std::uint64_t offset, std::uint64_t bytes) const noexcept {
    const std::uint64_t known = std::max(chunk_count(), std::uint64_t{1}) * kChunkBytes;
    poke(arena_known_, known);  // process-private: racing threads may only make each other look again
    return offset >= regions_.arena && bytes <= known && offset - regions_.arena <= known - bytes;
}

Status Segment::grow(shm::Limit& limit, std::uint64_t region, std::uint64_t bytes,
                     std::uint64_t bytes_max) noexcept {
    const std::uint64_t have = peek(limit.bytes);
    if (bytes <= have) return Status::kOk;
    if (is_read_only_) return Status::kReadOnly;
    if (bytes > bytes_max || have > bytes_max) return own_fault(Status::kFull);
    if (const Status s = allocate_range(file_, region + have, bytes - have); s != Status::kOk) return s;
    KEYSTILE_CRASH_POINT("segment.grow.before_limit");
    raise_limit(limit, bytes);
    return Status::kOk;
}

Status Segment::grow_participants(std::uint32_t count) noexcept {
    if (count > kParticipantsMax) return Status::kParticipants;
    const std::uint64_t bytes = round_up(count * sizeof(shm::Participant), kPageBytes);
    return grow(header().participants, regions_.participants, bytes,
                kParticipantsMax * sizeof(shm::Participant));
}

Status Segment::grow_sessions(std::uint32_t count) noexcept {
    if (count > kSessionsMax) return Status::kParticipants;
    const std::uint64_t records = std::min<std::uint64_t>(round_up(count, kFirstRecords), kSessionsMax);
    const std::uint64_t bytes = records * sizeof(shm::Session);
    return grow(header().sessions, regions_.sessions, bytes, kSessionsMax * sizeof(shm::Session));
}

Status Segment::grow_home(std::uint64_t pair) noexcept {
    if (is_read_only_) return Status::kReadOnly;
    const std::uint64_t page = pair / kPairsPerPage;
    const Status s = allocate_range(file_, regions_.homes + page * kPageBytes, kPageBytes);
    if (s != Status::kOk) return s;
    KEYSTILE_CRASH_POINT("segment.grow_home.before_bit");
    // order[segment.home_map]: release. Pairs with has_home. A crash before: the next inserter allocates the
    //   page again.
    home_map()[page / 64].fetch_or(1ull << (page % 64), memory_order_release);
    return Status::kOk;
}

Status Segment::grow_arena(std::uint64_t chunks) noexcept {
    if (chunks > regions_.chunk_count) return own_fault(Status::kFull);
    const std::uint64_t have = peek(header().arena.bytes);
    const std::uint64_t step = std::clamp(round_up(have / 64, kChunkBytes), kGrowBytesMin, kGrowBytesMax);
    const std::uint64_t bytes_max = regions_.chunk_count * kChunkBytes;
    const std::uint64_t least = chunks * kChunkBytes;
    const std::uint64_t wanted = std::min(std::max(least, have + step), bytes_max);
    for (const std::uint64_t bytes :
         {wanted, least}) {  // almost full: what is needed is better than the whole step
        const std::uint64_t table = round_up(bytes / kChunkBytes * sizeof(shm::Chunk), kPageBytes);
        Status s = grow(header().chunks, regions_.chunks, table, regions_.arena - regions_.chunks);
        if (s == Status::kOk) s = grow(header().arena, regions_.arena, bytes, bytes_max);
        if (s != Status::kFull) return s;
    }
    return Status::kFull;
}

void condemn_segment(const std::string& folder, const std::string& file) noexcept {
    SegmentOptions options;
    options.must_exist = true;
    Segment segment;
    if (Segment::open(folder, file, options, &segment) != Status::kOk) return;
    // order[segment.condemned]: release. As segment.destroyed, its partner too: the look of each commit and claim.
    segment.header().is_destroyed.store(1, memory_order_release);
}

Status destroy_segment(const std::string& folder, const std::string& file, bool is_forced) noexcept {
    SegmentOptions options;
    options.must_exist = true;
    Segment segment;
    const Status found = Segment::open(folder, file, options, &segment);
    const std::string path = folder + "/" + file;
    if (found == Status::kOk) {
        if (!is_forced && has_live_participant(segment)) return Status::kInUse;
        // order[segment.destroyed]: release. Partner: the relaxed look of each commit and claim, which may
        //   come late by the time a store takes to be seen; nothing else is published. A crash after it: the
        //   next opener is told kDestroyed and a second destroy removes the name.
        segment.header().is_destroyed.store(1, memory_order_release);
        KEYSTILE_CRASH_POINT("segment.destroy.before_unlink");
        if (!is_at_path(segment.file(), path))
            return Status::kOk;  // another destroyed it too, and the name may be new
    } else if (found == Status::kNoStore || found == Status::kPermission) {
        return found;
    } else if (found == Status::kNotAStore || (!is_forced && found != Status::kDestroyed)) {
        return found;
    }
    return remove_file(path);
}

}  // namespace keystile::engine
