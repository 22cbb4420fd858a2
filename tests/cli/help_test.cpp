// Help, man page and completions: whoever adds an option adds it everywhere.
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "command.hpp"

namespace keystile::test {
namespace {

using CliHelp = CliTest;

constexpr const char* kCommands[] = {
    "create", "destroy", "get",    "put",    "del",   "claim",    "renew",  "release", "reclaim",
    "watch",  "ls",      "stat",   "check",  "multi", "snapshot", "export", "import",  "compact",
    "verify", "recover", "repair", "flushd", "log",   "files",    "mcp"};
constexpr const char* kCompletions[] = {"completions/keystile.bash", "completions/_keystile",
                                        "completions/keystile.fish"};

std::filesystem::path source(const char* name) {
    return std::filesystem::path(KEYSTILE_ENGINE_FOLDER) / "../bindings/cli" / name;
}

std::string content(const char* name) {
    std::ifstream file(source(name));
    EXPECT_TRUE(file) << name;
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// The long options in the option table of a help text.
std::set<std::string> options_in(const std::string& help) {
    std::set<std::string> options;
    static const std::regex line("\n  (?:-[a-zA-Z],)?--([a-z][a-z-]*)");
    for (std::sregex_iterator at(help.begin(), help.end(), line), end; at != end; ++at)
        options.insert((*at)[1]);
    return options;
}

TEST_F(CliHelp, EveryCommandHasHelpWithExamples) {
    for (const char* command : kCommands) {
        const std::string help = ok({command, "--help"});
        EXPECT_NE(help.find("Examples:"), std::string::npos) << command;
        EXPECT_NE(ok({"--help"}).find(std::string("\n  ") + command + " "), std::string::npos) << command;
    }
    EXPECT_EQ(run({}).exit_code, 64);
    EXPECT_TRUE(ok({"--version"}).starts_with("keystile "));
    EXPECT_EQ(ok({"version"}), ok({"--version"}));
    EXPECT_EQ(ok({"help"}), ok({"--help"}));
    EXPECT_EQ(ok({"help", "files", "write"}), ok({"files", "write", "--help"}));
}

TEST_F(CliHelp, CompletionsAndManPageKnowEveryOption) {
    const std::string man = std::regex_replace(content("man/keystile.1"), std::regex(R"(\\-)"), "-");
    for (const char* command : kCommands) {
        const std::set<std::string> options = options_in(ok({command, "--help"}));
        for (const std::string& option : options) {
            EXPECT_NE(man.find("--" + option), std::string::npos) << command << " --" << option;
            for (const char* file : kCompletions) {
                const bool is_fish = std::string_view(file).ends_with(".fish");
                EXPECT_NE(content(file).find((is_fish ? "-l " : "--") + option), std::string::npos)
                    << file << " " << option;
            }
        }
    }
    EXPECT_TRUE(options_in(ok({"put", "--help"})).contains("update"));
    EXPECT_TRUE(options_in(ok({"ls", "--help"})).contains("keys"));
}

TEST_F(CliHelp, ShellsLoadTheCompletions) {
    const std::string bash = source(kCompletions[0]).string(), zsh = source(kCompletions[1]).string(),
                      fish = source(kCompletions[2]).string();
    EXPECT_EQ(shell("command -v bash >/dev/null || exit 0; bash -n " + bash).exit_code, 0);
    EXPECT_EQ(shell("command -v zsh >/dev/null || exit 0; zsh -n " + zsh).exit_code, 0);
    EXPECT_EQ(shell("command -v fish >/dev/null || exit 0; fish -n " + fish).exit_code, 0);
}

TEST_F(CliHelp, BashCompletesCommandsOptionsAndKeys) {
    if (shell("command -v bash >/dev/null").exit_code != 0) GTEST_SKIP() << "no bash";
    ok({"put", "jobs/1", "--value", "x", "--create"});
    const auto complete = [this](const std::string& words, int index) {
        return shell("exec bash -c '. " + source(kCompletions[0]).string() + "; COMP_WORDS=(" + words +
                     "); COMP_CWORD=" + std::to_string(index) + "; _keystile; echo ${COMPREPLY[*]}'")
            .out;
    };
    EXPECT_EQ(complete("keystile cre", 1), "create\n");
    EXPECT_EQ(complete("keystile put k --up", 3), "--update\n");
    EXPECT_EQ(complete("keystile get jo", 2), "jobs/1\n");
    EXPECT_EQ(complete("keystile claim k --lease 3", 4), "30s\n");
}

TEST_F(CliHelp, MistakesAreNamed) {
    EXPECT_NE(run({"frobnicate"}).err.find("there is no command 'frobnicate'"), std::string::npos);
    EXPECT_NE(run({"get"}).err.find("KEY is required"), std::string::npos);
    EXPECT_NE(run({"get", "a", "b"}).err.find("not expected: b"), std::string::npos);
    EXPECT_NE(run({"create", "shm:demo"}).err.find("a store goes behind --store"), std::string::npos);
    EXPECT_EQ(run({"get", "a", "b"}).err.find("--store"), std::string::npos);
    EXPECT_NE(run({"files", "raed", "x"}).err.find("files: there is no command 'raed'"), std::string::npos);
    EXPECT_NE(run({"files"}).err.find("files: A subcommand is required"), std::string::npos);
    EXPECT_NE(run({"files", "read"}).err.find("files read: PATH is required; see keystile files read --help"),
              std::string::npos);
    expect_fails({"get", "a", "b"}, 64, "usage");
    expect_fails({"get", "k", "--nonsense"}, 64, "usage");
    expect_fails({"claim", "k", "--lease", "soon"}, 64, "usage");
}

}  // namespace
}  // namespace keystile::test
