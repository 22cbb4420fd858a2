#include "command.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace keystile::test {
namespace {

// Files in memory instead of pipes: nobody ever waits for a reader.
int memory_file(std::string_view content = {}) {
    const int file = memfd_create("test", MFD_CLOEXEC);
    EXPECT_EQ(write(file, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    lseek(file, 0, SEEK_SET);
    return file;
}

std::string content_of(int file) {
    std::string content(static_cast<size_t>(lseek(file, 0, SEEK_END)), '\0');
    EXPECT_EQ(pread(file, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    close(file);
    return content;
}

// Its files become the child's standard input, output and error; -1 leaves ours.
pid_t spawn(Words argv, Words environment, int in, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const int files[] = {in, out, err};
    for (int i = 0; i < 3; ++i) {
        if (files[i] >= 0) posix_spawn_file_actions_adddup2(&actions, files[i], i);
    }
    pid_t pid = -1;
    const int error = posix_spawn(&pid, argv[0].c_str(), &actions, nullptr, pointers(argv).data(),
                                  pointers(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_EQ(error, 0) << argv[0] << ": " << strerror(error);
    return pid;
}

int exit_code_of(pid_t pid) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::vector<char*> pointers(Words& words) {
    std::vector<char*> all;
    for (std::string& word : words) all.push_back(word.data());
    all.push_back(nullptr);
    return all;
}

std::string binary() {
    const char* const given = getenv("KEYSTILE_CLI_PATH");
#ifdef KEYSTILE_CLI_PATH
    return given != nullptr ? given : KEYSTILE_CLI_PATH;
#else
    return given != nullptr ? given : "keystile";
#endif
}

std::string epoch(uint64_t changes) {
    return std::to_string(epoch_of(changes));
}

std::string stamp(uint64_t version, uint64_t changes) {
    return "version=" + std::to_string(version) + " epoch=" + epoch(changes);
}

std::string first_line(const std::string& text) {
    return text.substr(0, text.find('\n'));
}

nlohmann::json Outcome::json() const {
    const size_t end = out.find_last_not_of('\n') + 1;
    const size_t start = out.find_last_of('\n', end == 0 ? 0 : end - 1);
    const nlohmann::json value =
        nlohmann::json::parse(out.substr(start == std::string::npos ? 0 : start + 1), nullptr, false);
    EXPECT_FALSE(value.is_discarded()) << "no JSON: " << out << err;
    return value;
}

Running::Running(const Words& argv, const Words& environment) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_ = spawn(argv, environment, nothing, ends[1], -1);
    close(nothing);
    close(ends[1]);
    out_ = ends[0];
}

Running::~Running() {
    close(out_);
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    exit_code_of(pid_);
}

std::string Running::next_line() {
    for (;;) {
        const size_t end = buffer_.find('\n');
        if (end != std::string::npos) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            return line;
        }
        char chunk[4096];
        const ssize_t count = read(out_, chunk, sizeof chunk);
        if (count == 0) return std::exchange(buffer_, {});
        if (count > 0) buffer_.append(chunk, static_cast<size_t>(count));
    }
}

void Running::signal(int number) const {
    ASSERT_GT(pid_, 0) << "not running";  // kill(-1) is a signal to everybody
    EXPECT_EQ(kill(pid_, number), 0);
}

void Running::await_stop() const {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
    EXPECT_TRUE(WIFSTOPPED(status));
}

int Running::wait() {
    return exit_code_of(std::exchange(pid_, -1));
}

void CliTest::SetUp() {
    static std::atomic<int> count{0};
    store_ = std::string(is_durable() ? "file:/dev/shm/" : "shm:") + "cli-test." + std::to_string(getpid()) +
             "." + std::to_string(++count);
    ok({"create"});
}

void CliTest::TearDown() {
    run({"destroy", "--force"});
    if (store_.starts_with("file:")) (void)remove(store_.c_str() + 5);
}

Words CliTest::environment() const {
    const std::string folder = std::filesystem::path(binary()).parent_path().string();
    const char* const path = getenv("PATH");
    Words all{"KEYSTILE_STORE=" + store_, "PATH=" + folder + ":" + (path != nullptr ? path : "/usr/bin:/bin"),
              "LC_ALL=C.UTF-8"};
    for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
        if (const char* const value = getenv(name)) all.push_back(std::string(name) + "=" + value);
    }
    all.insert(all.end(), extra_environment_.begin(), extra_environment_.end());
    return all;
}

Outcome CliTest::run(const Words& arguments, std::string_view input) const {
    Words argv{binary()};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const int in = memory_file(input), out = memory_file(), err = memory_file();
    Outcome outcome;
    outcome.exit_code = exit_code_of(spawn(argv, environment(), in, out, err));
    close(in);
    outcome.out = content_of(out);
    outcome.err = content_of(err);
    return outcome;
}

Outcome CliTest::shell(const std::string& script, std::string_view input) const {
    const int in = memory_file(input), out = memory_file(), err = memory_file();
    Outcome outcome;
    outcome.exit_code = exit_code_of(spawn({"/bin/sh", "-c", script}, environment(), in, out, err));
    close(in);
    outcome.out = content_of(out);
    outcome.err = content_of(err);
    return outcome;
}

std::string CliTest::ok(const Words& arguments, std::string_view input) const {
    const Outcome outcome = run(arguments, input);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
}

void CliTest::expect_fails(const Words& arguments, int exit_code, std::string_view status) const {
    const Outcome human = run(arguments);
    EXPECT_EQ(human.exit_code, exit_code) << human.out << human.err;
    EXPECT_TRUE(human.err.starts_with("keystile: ")) << human.err;

    Words as_json{"--json"};
    as_json.insert(as_json.end(), arguments.begin(), arguments.end());
    const Outcome outcome = run(as_json);
    EXPECT_EQ(outcome.exit_code, exit_code) << outcome.out << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_EQ(outcome.json()["status"], status);
    EXPECT_TRUE(outcome.json()["error"].is_string());
}

}  // namespace keystile::test
