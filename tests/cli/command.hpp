// Runs the built `keystile` as a user would: its own process, its exit code, its two outputs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace keystile::test {

struct Outcome {
    int exit_code = -1;  // 128 + N if signal N ended it
    std::string out;
    std::string err;

    nlohmann::json json() const;  // of the last line of standard output
};

using Words = std::vector<std::string>;

// A running process; standard output is read line by line. Killed at the end if it still runs.
class Running {
public:
    explicit Running(const Words& argv, const Words& environment);
    ~Running();
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

    std::string next_line();  // waits for it; empty at the end of the output
    void signal(int number) const;
    void await_stop() const;  // until it is stopped, by SIGSTOP for one
    pid_t pid() const { return pid_; }
    int wait();  // the exit code as in Outcome

private:
    pid_t pid_ = -1;
    int out_ = -1;
    std::string buffer_;
};

// The same tests run over both kinds of stores (tests/CMakeLists.txt).
inline bool is_durable() {
    return getenv("KEYSTILE_TEST_DURABLE") != nullptr;
}

// A store of its own for every test, given to the commands by KEYSTILE_STORE; destroyed at the end.
class CliTest : public testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    Outcome run(const Words& arguments, std::string_view input = {}) const;
    Outcome shell(const std::string& script, std::string_view input = {}) const;  // `keystile` is in its PATH
    std::string ok(const Words& arguments,
                   std::string_view input = {}) const;  // its output; failing is a failure
    void expect_fails(const Words& arguments, int exit_code,
                      std::string_view status) const;  // and says so in JSON
    Words environment() const;

    std::string store_;
    Words extra_environment_;
};

std::string binary();
std::vector<char*> pointers(Words& words);  // for posix_spawn, closed by a null

// Epochs of a volatile store count from its incarnation, 1, in the upper bits: the n-th change of ownership.
constexpr uint64_t epoch_of(uint64_t changes) {
    return (uint64_t{1} << 39) + changes;
}
std::string epoch(uint64_t changes);                    // for an argument
std::string stamp(uint64_t version, uint64_t changes);  // the line that commands print
std::string first_line(const std::string& text);

}  // namespace keystile::test
