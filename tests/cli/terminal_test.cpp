// On a terminal: the command that runs under a claim has it, and gives it back.
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.hpp"

namespace keystile::test {
namespace {

// `keystile` as the foreground job of a terminal of its own, typed at from here.
class CliTerminal : public CliTest {
protected:
    void start(Words arguments) {
        terminal_ = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        ASSERT_EQ(grantpt(terminal_), 0);
        ASSERT_EQ(unlockpt(terminal_), 0);
        const std::string name = ptsname(terminal_);

        arguments.insert(arguments.begin(), binary());
        Words variables = environment();
        posix_spawnattr_t attributes;
        posix_spawnattr_init(&attributes);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // the first terminal it opens is its own
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, name.c_str(), O_RDWR, 0);
        posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO);
        ASSERT_EQ(posix_spawn(&pid_, binary().c_str(), &actions, &attributes, pointers(arguments).data(),
                              pointers(variables).data()),
                  0);
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }

    void type(std::string_view text) const {
        ASSERT_EQ(write(terminal_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    // What is shown, up to and with `text`; all of it if it never comes.
    std::string read_until(std::string_view text) const {
        std::string shown;
        char byte = 0;
        while (shown.find(text) == std::string::npos && read(terminal_, &byte, 1) == 1) shown += byte;
        return shown;
    }

    int wait() {
        int status = 0;
        EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
        close(terminal_);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    int terminal_ = -1;
    pid_t pid_ = -1;
};

TEST_F(CliTerminal, CmdReadsWhatIsTyped) {
    start({"claim", "k", "--", "sh", "-c", "echo ready; read word; echo \"got $word.\""});
    read_until("ready");
    type("this\n");
    EXPECT_NE(read_until("got this.").find("got this."), std::string::npos);
    EXPECT_EQ(wait(), 0);
}

TEST_F(CliTerminal, CtrlCReachesCmdAndTheClaimIsReleased) {
    start({"claim", "k", "--lease", "1h", "--", "sh", "-c", "echo ready; exec sleep 60"});
    read_until("ready");
    type("\x03");
    EXPECT_EQ(wait(), 128 + SIGINT);
    ok({"claim", "k"});
}

TEST_F(CliTerminal, AValueIsTypedUntilCtrlD) {
    start({"put", "k", "--create"});
    read_until("Ctrl-D");
    type("typed\n\x04");
    EXPECT_EQ(wait(), 0);
    EXPECT_EQ(ok({"get", "k"}), "typed\n");
}

TEST_F(CliTerminal, AValueIsShownWithALineEndAndItsStamp) {
    ok({"put", "k", "--value", "hello", "--create"});
    start({"get", "k"});
    EXPECT_EQ(read_until(epoch(0)), "hello\r\n" + stamp(1, 0));
    EXPECT_EQ(wait(), 0);
}

}  // namespace
}  // namespace keystile::test
