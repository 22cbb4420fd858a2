#include "swarm/swarm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "options.hpp"
#include "output.hpp"
#include "quantity.hpp"
#include "swarm/failure.hpp"
#include "swarm/report.hpp"
#include "swarm/run.hpp"
#include "swarm/store.hpp"

namespace keystile::cli {
namespace {

using swarm::Options;

constexpr const char* kSwarmFooter =
    R"(Each word of the text is a key; its value counts the word and lists where it stands. The key
`notes` is rewritten for each chunk. Chunks are handed out by claims; all words of a chunk, its
note, its done-mark and the end of its claim are one atomic commit. With --no-atomic each word
is a commit, and says which chunks are counted in it. At the end all is compared with a serial
count; the exit code is 65 if anything is lost, counted twice, or a stopped worker was not told
FENCED, or if a crash undid what a worker had been told is on disk.

A crash kills all workers at a random moment, each with the thread that brings its commits to the
disk, and removes the shared memory. The kernel lives on, with what was written to it and not
synced: this is not a loss of power. Then the store is made again from its files, a new crew does
what is not done in it, and the report says what had been acknowledged, what came back and what
had to be done again.

Examples:
  keystile swarm --workers 4 --stop 2 --kill 2
  keystile swarm --unguarded --think 20us
  keystile swarm --store file:/tmp/swarm --crash
  keystile swarm --input *.txt --json)";

constexpr uint64_t kAny = UINT64_MAX;

struct Arguments {
    std::optional<uint64_t> workers, stops, kills, chunk_bytes, lease_ns, think_ns, seed;
    bool is_atomic = false, is_word_by_word = false, is_unguarded = false, is_crash = false, is_json = false,
         is_quiet = false;
    std::string store;
    std::vector<std::string> inputs;
};

uint64_t in_range(const char* name, std::optional<uint64_t> given, uint64_t otherwise, uint64_t least,
                  uint64_t most, const char* range) {
    const uint64_t number = given.value_or(otherwise);
    if (number < least || number > most) {
        throw swarm::Failure(ExitCode::usage, fmt::format("{} must be {}", name, range));
    }
    return number;
}

// Killed workers are not replaced, and a stopped one is woken only when a running one has taken its chunk.
void require_a_survivor(const char* name, uint32_t count, uint32_t workers) {
    if (count >= workers) {
        throw swarm::Failure(ExitCode::usage, fmt::format("{} {} of {} workers: at least one must go on",
                                                          name, count, workers));
    }
}

void require_a_store_to_crash(const Arguments& arguments) {
    if (!swarm::is_durable(arguments.store)) {
        throw swarm::Failure(
            ExitCode::usage,
            fmt::format("--crash needs a durable store, --store file:DIR: {} ends with its memory",
                        arguments.store.empty() ? "a temporary one" : arguments.store));
    }
    const std::pair<const char*, bool> others[] = {{"--stop", arguments.stops.value_or(0) != 0},
                                                   {"--kill", arguments.kills.value_or(0) != 0},
                                                   {"--unguarded", arguments.is_unguarded}};
    for (const auto& [name, is_given] : others) {
        if (is_given) {
            throw swarm::Failure(ExitCode::usage, fmt::format("--crash and {} exclude one another", name));
        }
    }
}

Options options_of(const Arguments& arguments) {
    Options options;
    const uint64_t cores = std::clamp(std::thread::hardware_concurrency(), 4u, 16u);
    options.workers =
        static_cast<uint32_t>(in_range("--workers", arguments.workers, cores, 1, 256, "1 to 256"));
    options.stops = static_cast<uint32_t>(in_range("--stop", arguments.stops, 0, 0, 255, "0 to 255"));
    options.kills = static_cast<uint32_t>(in_range("--kill", arguments.kills, 0, 0, 255, "0 to 255"));
    require_a_survivor("--stop", options.stops, options.workers);
    require_a_survivor("--kill", options.kills, options.workers);
    options.chunk_bytes = arguments.chunk_bytes
                              ? in_range("--chunk-bytes", arguments.chunk_bytes, 0, 64, 1u << 24, "64 to 16M")
                              : 0;
    options.lease_ns = in_range("--lease", arguments.lease_ns, 300 * kMillisecond, 10 * kMillisecond,
                                600 * kSecond, "10ms to 10m");
    options.think_ns = in_range("--think", arguments.think_ns, 0, 0, kSecond, "0 to 1s");
    options.seed =
        in_range("--seed", arguments.seed, std::random_device()() % 1'000'000, 0, kAny, "a number");
    if (arguments.is_atomic && (arguments.is_word_by_word || arguments.is_unguarded)) {
        throw swarm::Failure(ExitCode::usage,
                             fmt::format("--atomic and {} exclude one another",
                                         arguments.is_unguarded ? "--unguarded" : "--no-atomic"));
    }
    if (arguments.is_crash) {
        require_a_store_to_crash(arguments);
    }
    options.is_unguarded = arguments.is_unguarded;
    options.is_crash = arguments.is_crash;
    options.is_atomic = !arguments.is_word_by_word && !arguments.is_unguarded;
    options.is_json = arguments.is_json;
    options.is_quiet = arguments.is_quiet;
    options.store_url = arguments.store;
    options.inputs = arguments.inputs;
    return options;
}

ExitCode swarm_command(const Arguments& arguments) try {
    const Options options = options_of(arguments);
    const swarm::Text text = swarm::load_text(options.inputs);
    const swarm::Outcome outcome = swarm::run(options, text);
    const ExitCode code = outcome.complaints.empty() ? ExitCode::ok : ExitCode::unusable;
    print_bytes(options.is_json ? swarm::json_of(options, outcome, name_of(code))
                                : swarm::table_of(options, text, outcome));
    flush_output();
    return code;
} catch (const swarm::Failure& failure) {
    throw Failure{failure.code(), fmt::format("swarm: {}", failure.what())};
}

// The program's own --json, --quiet and --store work before the word `swarm` too. A store named by the
// environment is for other commands: a swarm writes thousands of keys, so it goes there only if asked to on
// its command line.
void take_globals(const CLI::App& app, Arguments& arguments) {
    const auto given = [&](const char* name) {
        const CLI::Option* const option = app.get_option_no_throw(name);
        return option != nullptr && option->count() > 0 ? option : nullptr;
    };
    arguments.is_json = arguments.is_json || given("--json") != nullptr;
    arguments.is_quiet = arguments.is_quiet || given("--quiet") != nullptr;
    const char* const environment = std::getenv("KEYSTILE_STORE");
    if (const CLI::Option* const store = given("--store"); store != nullptr && arguments.store.empty()) {
        const std::string url = store->as<std::string>();
        arguments.store = environment != nullptr && url == environment ? "" : url;
    }
}

}  // namespace

void add_swarm_command(CLI::App& app, ExitCode& exit_code) {
    const auto arguments = std::make_shared<Arguments>();
    CLI::App* const command =
        app.add_subcommand("swarm", "Workers count a text together: what is lost, and what not");
    add_number(command, "--workers", arguments->workers, "Worker processes [the cores, at least 4]");
    add_number(command, "--stop", arguments->stops,
               "Freeze so many workers while they hold a chunk, wake them later");
    add_number(command, "--kill", arguments->kills,
               "Kill so many workers, at random moments; none is replaced");
    command->add_flag("--crash", arguments->is_crash,
                      "Kill everybody once and take their memory away, recover, go on (--store file:DIR)");
    command->add_flag("--atomic", arguments->is_atomic, "A chunk is one atomic commit [the default]");
    command->add_flag("--no-atomic", arguments->is_word_by_word,
                      "Each word of a chunk is a commit of its own");
    command->add_flag("--unguarded", arguments->is_unguarded,
                      "Plain read-then-write, to show what that loses; exit 0");
    command->add_option("--input", arguments->inputs, "Text files [two novels by Jane Austen]")
        ->type_name("FILE");
    command
        ->add_option("--store", arguments->store, "Use this store and leave it [a temporary one in memory]")
        ->type_name("URL");
    add_size(command, "--chunk-bytes", arguments->chunk_bytes,
             "Bytes of text in a chunk [1/800 of it, 1K at least]");
    add_duration(command, "--lease", arguments->lease_ns, "How long a silent worker keeps its chunk [300ms]");
    add_duration(command, "--think", arguments->think_ns, "Sleep between reading and writing a value [0]");
    add_number(command, "--seed", arguments->seed,
               "Whom the stops and kills meet, and when [random, printed]");
    command->add_flag("--json", arguments->is_json, "Print one JSON object");
    command->add_flag("-q,--quiet", arguments->is_quiet, "No progress bar");
    command->footer(kSwarmFooter);
    command->callback([&app, arguments, &exit_code] {
        take_globals(app, *arguments);
        exit_code = swarm_command(*arguments);
    });
}

}  // namespace keystile::cli
