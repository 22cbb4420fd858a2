// keystile flushd
#include <csignal>
#include <ctime>

#include <fmt/format.h>

#include "commands.hpp"
#include "folder_argument.hpp"
#include "quantity.hpp"
#include "text.hpp"

namespace keystile::cli {
namespace {

constexpr const char* kFlushdExamples =
    R"(Brings to disk what all processes of a durable store commit, and makes checkpoints when they are
due: for programs that open it with KS_OPEN_NO_FLUSHER. Nobody depends on it: whoever waits for
the disk, or finds the ring full, flushes by himself. Two of them do each other no harm.

SIGTERM or SIGINT: a last flush, and exit code 0 if all is on disk. When the disk refuses (full,
an error) it says so once, tries on each second, and says when it goes on. A file of the journal
that was lost or damaged is left behind by a checkpoint, which writes all to new files.

Examples:
  keystile flushd /var/lib/team
  keystile flushd --interval 1ms --store file:/var/lib/team)";

constexpr uint64_t kFlushIntervalDefault = 5'000'000, kFlushIntervalMax = 3600'000'000'000;
// How often it looks whether one is due: a list of the folder. One that fails has read and written everything, each
// time: the next comes later and later.
constexpr uint64_t kCheckpointNs = 1'000'000'000, kCheckpointNsMax = 60'000'000'000;
constexpr uint64_t kFlushRetryNs = 1'000'000'000;  // each retry of a sync that failed begins a new file

struct FlushdOptions {
    std::string folder;
    std::optional<uint64_t> interval_ns;
    bool has_no_checkpoints = false;
};

// One thing that is done over and over; what is new about it is told.
class FlushTask {
public:
    FlushTask(const Globals& globals, std::string url, const char* name)
        : globals_(globals), url_(std::move(url)), name_(name) {}

    // False: the system said no, to be tried again.
    bool note(ks_status status) {
        if (status == KS_BUSY) return true;  // others are at it
        if (status <= KS_E_CORRUPT) throw fault(status, url_);
        const int error = status == KS_OK ? 0 : ks_last_errno();
        if (status != status_ || error != errno_) tell(status);
        status_ = status;
        errno_ = error;
        return status == KS_OK;
    }

private:
    void tell(ks_status status) const {
        Json members{{"store", url_}, {"event", status == KS_OK ? "goes_on" : "refused"}, {"task", name_}};
        std::string text = fmt::format("{}: {} goes on", url_, name_);
        if (status != KS_OK) {
            const Failure failure = fault(status, url_);
            members.update(failure.details);
            members["error"] = failure.message;
            text = fmt::format("{}; trying on", failure.message);
        }
        if (globals_.json) return print_result(globals_, members, text);
        fmt::print(stderr, "keystile: {}\n", text);
    }

    const Globals& globals_;
    std::string url_;
    const char* name_;
    ks_status status_ = KS_OK;
    int errno_ = 0;
};

sigset_t end_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

// True: one of them came.
bool await_end(const sigset_t& signals, uint64_t wait_ns) {
    const timespec wait{static_cast<time_t>(wait_ns / 1'000'000'000),
                        static_cast<long>(wait_ns % 1'000'000'000)};
    return sigtimedwait(&signals, nullptr, &wait) > 0;
}

void flushd(const Globals& globals, const FlushdOptions& options) {
    const std::string url = durable_url(globals, options.folder);
    const uint64_t interval_ns = options.interval_ns.value_or(kFlushIntervalDefault);
    if (interval_ns == 0 || interval_ns > kFlushIntervalMax)
        throw Failure{ExitCode::usage, "--interval is more than 0 and at most 1h"};
    // Before there is anything to flush at the end.
    const sigset_t signals = end_signals();
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    signal(SIGXFSZ, SIG_IGN);  // a limit of the file's size is a disk that is full
    ks_open_options open{};
    open.struct_size = sizeof open;
    open.flags = KS_OPEN_MUST_EXIST | KS_OPEN_NO_FLUSHER;
    open.label = "keystile flushd";
    const Store store(url, open);
    print_result(globals, Json{{"store", url}, {"event", "flushing"}, {"interval_ns", interval_ns}},
                 globals.quiet ? "" : fmt::format("flushing {} every {}", url, duration_text(interval_ns)));

    FlushTask flushing(globals, url, "flushing"), checkpoints(globals, url, "making checkpoints");
    uint64_t next_checkpoint = options.has_no_checkpoints ? KS_FOREVER : now_ns();
    uint64_t checkpoint_wait_ns = kCheckpointNs;
    for (;;) {
        const ks_status flushed = ks_flush(store.get());
        const bool is_lost = flushed == KS_E_JOURNAL && ks_last_errno() == 0;  // a file of the journal
        const bool is_well = flushing.note(flushed);
        if (now_ns() >= next_checkpoint) {
            const bool is_made =
                checkpoints.note(is_lost ? ks_checkpoint(store.get()) : ks_checkpoint_if_due(store.get()));
            checkpoint_wait_ns = is_made ? kCheckpointNs : std::min(2 * checkpoint_wait_ns, kCheckpointNsMax);
            next_checkpoint = now_ns() + checkpoint_wait_ns;
            if (is_lost && is_made) continue;  // it flushes now
        }
        if (await_end(signals, is_well ? interval_ns : std::max(interval_ns, kFlushRetryNs))) break;
    }
    if (const ks_status status = ks_flush(store.get()); status != KS_OK) throw fault(status, url);
    print_result(globals, Json{{"store", url}, {"event", "ended"}}, "");
}

}  // namespace

void add_flushd_command(CLI::App& app, const Globals& globals) {
    CLI::App* const command =
        app.add_subcommand("flushd", "Bring to disk what all processes of a durable store commit");
    const auto options = std::make_shared<FlushdOptions>();
    add_folder_argument(command, options->folder);
    add_duration(command, "--interval", options->interval_ns,
                 "How long a commit may wait for the disk [5ms]");
    command->add_flag("--no-checkpoints", options->has_no_checkpoints, "Leave them to others");
    command->footer(kFlushdExamples);
    command->callback([&globals, options] { flushd(globals, *options); });
}

}  // namespace keystile::cli
