#include "operations/flusher.hpp"

#include <csignal>
#include <system_error>

#include "operations/checkpoint_store.hpp"
#include "operations/writer.hpp"

namespace keystile::engine {

namespace {

constexpr int kIdleTurns = 20;                         // flushes with nothing to do, before it sleeps longer
constexpr std::uint64_t kIdleNs = 200'000'000;         // others' commits, should their processes have died
constexpr std::uint64_t kAfterFailureNs = 50'000'000;  // a disk that says no is asked at this pace

bool take_rolled(Writer& writer) noexcept {
    const std::lock_guard guard(writer.lock());  // tidy-allow(mutex): process-private
    return writer.take_rolled();
}

}  // namespace

bool Flusher::start(Store& store, std::uint64_t interval_ns) {
    store_ = &store;
    interval_ns_ = interval_ns;
    // The program's signals are for its own threads: those that it blocks, to wait for them, would come to this one.
    sigset_t all, before;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error&) {
        thread_ = {};  // there is none: the answer says it
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread_.joinable();
}

void Flusher::stop() noexcept {
    if (!thread_.joinable()) return;
    poke(is_stopping_, 1u);
    wake_up();
    thread_.join();
    flush_all(*store_);
}

void Flusher::wake_up() noexcept {
    poke(is_idle_, 0u);
    // order[flusher.bell]: release. Partner: run()'s load before it sleeps: a bell rung before is seen.
    bell_.fetch_add(1, memory_order_release);
    futex_wake_all(bell_);
}

void Flusher::look_at_ring(Store& store, Position p) noexcept {
    const Position durable = load_durable(store.segment).position;
    if (p < durable || p - durable <= store.segment.ring_cells() / 2) return;
    if (thread_.joinable()) return wake_up();
    (void)flush_all(
        store);  // what the disk says is told to whoever asks it to be there, or finds the ring full
}

void Flusher::run() noexcept {
    int idle_turns = 0;
    while (peek(is_stopping_) == 0) {
        const std::uint32_t bell = peek(bell_);
        const Segment& segment = store_->segment;
        const bool has_work = load_durable(segment).position <= ring_tail(segment);
        idle_turns = has_work ? 0 : idle_turns + 1;
        std::uint64_t pause_ns = interval_ns_;
        if (has_work && flush_all(*store_) != Status::kOk) pause_ns = kAfterFailureNs;
        // A failure leaves the journal as long as it is; the next file asks again.
        if (take_rolled(*store_->writer)) (void)make_checkpoint_if_due(*store_);
        if (idle_turns >= kIdleTurns) {
            // order[flusher.idle]: acq_rel (locked), before the second look at the tail; a commit looks at the flag
            //   after its locked steps: one of the two sees the other. Partner: notice_commit.
            is_idle_.fetch_or(1, memory_order_acq_rel);
            if (load_durable(segment).position > ring_tail(segment)) pause_ns = kIdleNs;
        }
        if (peek(is_stopping_) == 0) futex_wait(bell_, bell, pause_ns);
    }
}

}  // namespace keystile::engine
