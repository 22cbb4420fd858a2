#include "process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "output.hpp"

namespace keystile::cli {
namespace {

struct Descriptor {
    int number = -1;
    Descriptor() = default;
    explicit Descriptor(int n) : number(n) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { close(); }
    void close() {
        if (number >= 0) ::close(number);
        number = -1;
    }
};

[[noreturn]] void system_failure(const char* what, int number) {
    throw Failure{ExitCode::fault, fmt::format("{}: {}", what, strerror(number)), Json{{"errno", number}}};
}

// The input as a file: a command that reads none of it, or writes first, blocks nobody.
void fill(int file, std::string_view input) {
    for (std::string_view rest = input; !rest.empty();) {
        const ssize_t written = write(file, rest.data(), rest.size());
        if (written < 0 && errno != EINTR) system_failure("handing the value to CMD", errno);
        if (written > 0) rest.remove_prefix(static_cast<size_t>(written));
    }
    lseek(file, 0, SEEK_SET);
}

// To the end, but no more than one byte beyond the most: the caller sees that it was too much.
std::string drain(int pipe, size_t output_max) {
    std::string output;
    char chunk[64 * 1024];
    while (output.size() <= output_max) {
        const ssize_t count = read(pipe, chunk, std::min(sizeof chunk, output_max + 1 - output.size()));
        if (count == 0) break;
        if (count < 0 && errno != EINTR) system_failure("reading the output of CMD", errno);
        if (count > 0) output.append(chunk, static_cast<size_t>(count));
    }
    return output;
}

bool is_newly_ignored = false;

}  // namespace

void ignore_file_size_signal() {
    is_newly_ignored = std::signal(SIGXFSZ, SIG_IGN) == SIG_DFL;
}

sigset_t newly_ignored_signals() {
    sigset_t set;
    sigemptyset(&set);
    if (is_newly_ignored) sigaddset(&set, SIGXFSZ);
    return set;
}

Environment::Environment(const std::vector<std::pair<std::string, std::string>>& changes) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::string_view name = text.substr(0, text.find('='));
        const bool is_changed =
            std::any_of(changes.begin(), changes.end(), [&](const auto& c) { return c.first == name; });
        if (!is_changed) entries_.emplace_back(text);
    }
    for (const auto& [name, value] : changes) {
        if (!value.empty()) entries_.push_back(fmt::format("{}={}", name, value));
    }
    for (std::string& entry : entries_) pointers_.push_back(entry.data());
    pointers_.push_back(nullptr);
}

std::string environment_key(std::string_view key) {
    return key.find('\0') == std::string_view::npos ? std::string(key) : std::string();
}

int exit_status_of(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

std::string ending_text(int wait_status) {
    if (WIFEXITED(wait_status)) return fmt::format("exited with {}", WEXITSTATUS(wait_status));
    const char* const name = sigabbrev_np(WTERMSIG(wait_status));
    return name != nullptr ? fmt::format("was killed by SIG{}", name)
                           : fmt::format("was killed by signal {}", WTERMSIG(wait_status));
}

Filtered run_filter(const std::string& command, std::string_view input, size_t output_max,
                    Environment& environment) {
    Descriptor in(memfd_create("keystile value", MFD_CLOEXEC));
    int ends[2];
    if (in.number < 0 || pipe2(ends, O_CLOEXEC) != 0) system_failure("preparing to run CMD", errno);
    Descriptor out(ends[0]), child_out(ends[1]);
    fill(in.number, input);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.number, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, child_out.number, STDOUT_FILENO);
    std::string shell = "sh", dash_c = "-c", text = command;
    char* const argv[] = {shell.data(), dash_c.data(), text.data(), nullptr};
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    const sigset_t defaults = newly_ignored_signals();
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environment.get());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) system_failure("running /bin/sh", error);
    child_out.close();

    Filtered result;
    result.output = drain(out.number, output_max);
    out.close();
    if (result.output.size() > output_max) kill(pid, SIGTERM);  // nobody reads the rest
    while (waitpid(pid, &result.wait_status, 0) < 0 && errno == EINTR) {
    }
    return result;
}

}  // namespace keystile::cli
