// Child processes of the command line: what they find in their environment, and how their ends are told.
#pragma once

#include <csignal>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keystile::cli {

// This process's environment with some variables replaced; an empty value removes the variable.
class Environment {
public:
    explicit Environment(const std::vector<std::pair<std::string, std::string>>& changes);
    char** get() { return pointers_.data(); }

private:
    std::vector<std::string> entries_;
    std::vector<char*> pointers_;
};

// A file that grows to a limit (ulimit -f) is to be a full disk, which write() tells, and not the end of this process.
// Called once, before there are threads.
void ignore_file_size_signal();
// What is ignored since then and was not before: a child's to be default again.
sigset_t newly_ignored_signals();

// A key for the environment: empty if it holds a zero byte, which no variable can.
std::string environment_key(std::string_view key);

// As a shell counts: the exit code, or 128 + the signal.
int exit_status_of(int wait_status);
std::string ending_text(int wait_status);  // "exited with 3", "was killed by SIGKILL"

// /bin/sh -c COMMAND with `input` on its standard input; its standard output, up to `output_max` + 1
// bytes.
struct Filtered {
    int wait_status = 0;
    std::string output;
};
Filtered run_filter(const std::string& command, std::string_view input, size_t output_max,
                    Environment& environment);

}  // namespace keystile::cli
