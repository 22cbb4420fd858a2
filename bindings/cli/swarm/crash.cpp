#include "swarm/crash.hpp"

#include <fmt/format.h>

#include "swarm/failure.hpp"
#include "swarm/keys.hpp"

namespace keystile::cli::swarm {
namespace {

bool is_done(const Lane& lane, uint32_t chunk) {
    std::string value;
    lane.read(chunk_key(chunk), value);
    return parse_chunk_value(value).is_done;
}

}  // namespace

Crash recover(const std::string& url, MemoryFolder& memory, Scoreboard& board) {
    memory.lose();
    ks_verify_report files{};
    files.struct_size = sizeof files;
    answer_of(ks_verify(url.c_str(), nullptr, nullptr, &files), "ks_verify");

    const uint64_t begin_ns = monotonic_ns();
    const Lane lane(url, KS_OPEN_MUST_EXIST, "swarm supervisor", memory.path());
    Crash crash;
    crash.recovery_ns = monotonic_ns() - begin_ns;
    crash.journals = files.journals;
    crash.checkpoints = files.checkpoints;
    uint64_t gone = 0, torn = 0;
    for (uint32_t chunk = 0; chunk < board.receipts().size(); ++chunk) {
        ChunkReceipt& receipt = board.receipts()[chunk];
        const bool was_finished = receipt.lsn.get() != 0, was_acknowledged = receipt.acknowledged.get() != 0;
        const bool is_there = is_done(lane, chunk);
        crash.finished += was_finished || is_there ? 1 : 0;
        crash.acknowledged += was_acknowledged ? 1 : 0;
        crash.recovered += is_there ? 1 : 0;
        crash.again += was_finished && !is_there ? 1 : 0;
        gone += was_acknowledged && !is_there ? 1 : 0;
        // The history up to one commit, and of what came later nothing.
        torn += was_finished && is_there != (receipt.lsn.get() <= files.recovery.last_lsn) ? 1 : 0;
        receipt.acknowledged.set(is_there ? 1 : 0);  // who recovers brings to disk what he found
        receipt.lsn.set(0);
    }
    if (gone != 0) {
        crash.complaints.push_back(
            fmt::format("{} chunks that were acknowledged as on disk are gone after the crash", gone));
    }
    if (torn != 0) {
        crash.complaints.push_back(fmt::format(
            "what came back is no prefix of the history: {} chunks are on the wrong side of commit {}", torn,
            files.recovery.last_lsn));
    }
    board.restart(crash.recovered);
    return crash;
}

}  // namespace keystile::cli::swarm
