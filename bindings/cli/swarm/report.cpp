#include "swarm/report.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace keystile::cli::swarm {
namespace {

std::string grouped(uint64_t number) {
    std::string digits = std::to_string(number);
    for (size_t place = digits.size(); place > 3;) {
        place -= 3;
        digits.insert(place, ",");
    }
    return digits;
}

std::string duration(uint64_t ns) {
    const auto number = static_cast<double>(ns);
    if (ns < 1'000) {
        return fmt::format("{} ns", ns);
    }
    if (ns < 1'000'000) {
        return fmt::format("{:.1f} µs", number / 1e3);
    }
    return ns < 1'000'000'000 ? fmt::format("{:.1f} ms", number / 1e6)
                              : fmt::format("{:.2f} s", number / 1e9);
}

double seconds(uint64_t ns) {
    return static_cast<double>(ns) / 1e9;
}

std::string percent_of(uint64_t part, uint64_t whole) {
    return fmt::format("{:.3f} % of {} words",
                       whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole),
                       grouped(whole));
}

std::string row(std::string_view name, std::string_view number, std::string_view remark = {}) {
    std::string line = fmt::format("  {:<16}{:>12}   {}", name, number, remark);
    line.erase(line.find_last_not_of(' ') + 1);
    return line + "\n";
}

std::string heading(const Options& options, const Text& text, const Outcome& outcome) {
    std::string files = std::filesystem::path(text.files[0]).filename().string();
    if (text.files.size() > 1) {
        files += fmt::format(" and {} more", text.files.size() - 1);
    }
    const char* const way = options.is_unguarded ? "plain read-then-write, nobody guards (--unguarded)"
                            : options.is_atomic
                                ? "each chunk one atomic commit, chunks handed out by claims"
                                : "every commit guarded, chunks handed out by claims (--no-atomic)";
    std::string lines = fmt::format("{}\n", way);
    lines +=
        fmt::format("text: {}, {} bytes, {} chunks · seed {} · lease {}", files, grouped(text.bytes.size()),
                    grouped(outcome.chunks), options.seed, duration(options.lease_ns));
    if (is_durable(options.store_url)) {
        lines += fmt::format("\nstore: {}, a commit is on disk a moment later", options.store_url);
    }
    if (options.think_ns != 0) {
        lines += fmt::format(" · think {} between read and write", duration(options.think_ns));
    }
    return lines + "\n\n";
}

std::string crash_rows(const Options& options, const Crash& crash) {
    std::string lines;
    lines += row("crashed", grouped(crash.finished),
                 fmt::format("chunks done, then all {} workers were killed and their memory was gone",
                             options.workers));
    lines += row("acknowledged", grouped(crash.acknowledged), "of them known to their workers as on disk");
    lines += row("recovered", grouped(crash.recovered),
                 fmt::format("of them, from {} journal files and {} checkpoints, in {}", crash.journals,
                             crash.checkpoints, duration(crash.recovery_ns)));
    lines += row("done again", grouped(crash.again), "of them, which had been in memory alone");
    return lines;
}

nlohmann::ordered_json json_of(const Crash& crash) {
    return {{"finished", crash.finished},
            {"acknowledged", crash.acknowledged},
            {"recovered", crash.recovered},
            {"again", crash.again},
            {"journal_files", crash.journals},
            {"checkpoints", crash.checkpoints},
            {"recovery_s", seconds(crash.recovery_ns)}};
}

std::string verdict(const Options& options, const Outcome& outcome) {
    std::string lines;
    for (const std::string& complaint : outcome.complaints) {
        lines += fmt::format("WRONG: {}\n", complaint);
    }
    if (!lines.empty()) {
        return lines;
    }
    const Audit& audit = outcome.audit;
    if (!options.is_unguarded) {
        lines = "Nothing is lost, nothing is counted twice, every word stands where it is listed.\n";
        if (outcome.crash) {
            lines +=
                "All that was acknowledged as on disk came back; of the rest, the oldest part, in order.\n";
        }
        return lines;
    }
    return fmt::format(
        "Lost: {} words and {} of {} notes, and no worker was told. A late write takes with it\n"
        "all that was written since its writer had read.\n",
        grouped(audit.lost), grouped(outcome.chunks - audit.noted), grouped(outcome.chunks));
}

}  // namespace

std::string table_of(const Options& options, const Text& text, const Outcome& outcome) {
    const Audit& audit = outcome.audit;
    std::string lines = heading(options, text, outcome);
    for (const std::string& event : outcome.events) {
        lines += fmt::format("  {}\n", event);
    }
    lines += outcome.events.empty() ? "" : "\n";
    const double rate = static_cast<double>(outcome.commits) / seconds(outcome.elapsed_ns);
    lines +=
        row("workers", grouped(options.workers), fmt::format("done after {}", duration(outcome.elapsed_ns)));
    lines += row("commits", grouped(outcome.commits));
    lines += row("commits/s", grouped(static_cast<uint64_t>(rate)));
    const bool is_told = !options.is_unguarded;
    lines +=
        row("conflicts", grouped(outcome.conflicts), is_told ? "commits that came second" : "nobody is told");
    lines += row("retries", grouped(outcome.retries),
                 !is_told            ? ""
                 : options.is_atomic ? "chunks read and computed again"
                                     : "values read and computed again");
    lines += row("held", grouped(outcome.held), is_told ? "chunks that another worker had" : "");
    lines += row("fenced", grouped(outcome.fenced),
                 is_told ? "commits of who had lost his chunk" : "nobody is told");
    lines += row("stopped", grouped(outcome.stopped), "SIGSTOP until the chunk was taken over");
    lines += row("killed", grouped(outcome.killed), "SIGKILL");
    if (outcome.crash) {
        lines += crash_rows(options, *outcome.crash);
    }
    lines += row("redone", grouped(outcome.already_in), "words found counted already, left alone");
    lines += row("p50", duration(outcome.p50_ns),
                 fmt::format("of one {}, by clock_gettime around it",
                             options.is_atomic ? "commit, mostly ks_multi_commit" : "ks_commit"));
    lines += row("p99", duration(outcome.p99_ns));
    lines += row("p99.9", duration(outcome.p999_ns));
    lines += row("notes", grouped(audit.noted), fmt::format("of {} chunks", grouped(outcome.chunks)));
    if (is_durable(options.store_url)) {
        lines +=
            row("on disk", grouped(outcome.on_disk), fmt::format("of {} chunks", grouped(outcome.chunks)));
    }
    lines += row("lost updates", grouped(audit.lost), percent_of(audit.lost, audit.expected));
    lines += row("double counts", grouped(audit.doubled));
    lines += row("wrong places", grouped(audit.misplaced));
    return lines + "\n" + verdict(options, outcome);
}

std::string json_of(const Options& options, const Outcome& outcome, std::string_view status) {
    const Audit& audit = outcome.audit;
    nlohmann::ordered_json json = {
        {"status", status},
        {"expected", audit.expected},
        {"found", audit.found},
        {"lost", audit.lost},
        {"doubled", audit.doubled},
        {"commits", outcome.commits},
        {"conflicts", outcome.conflicts},
        {"retries", outcome.retries},
        {"held", outcome.held},
        {"fenced", outcome.fenced},
        {"stopped", outcome.stopped},
        {"killed", outcome.killed},
        {"p50_ns", outcome.p50_ns},
        {"p99_ns", outcome.p99_ns},
        {"p999_ns", outcome.p999_ns},
        {"elapsed_s", seconds(outcome.elapsed_ns)},
        {"workers", options.workers},
        {"chunks", outcome.chunks},
        {"noted", audit.noted},
        {"misplaced", audit.misplaced},
        {"redone", outcome.already_in},
        {"unguarded", options.is_unguarded},
        {"atomic", options.is_atomic},
        {"seed", options.seed},
        {"events", outcome.events},
        {"wrong", outcome.complaints},
    };
    if (is_durable(options.store_url)) {
        json["on_disk"] = outcome.on_disk;
    }
    if (outcome.crash) {
        json["crash"] = json_of(*outcome.crash);
    }
    return json.dump() + "\n";
}

}  // namespace keystile::cli::swarm
