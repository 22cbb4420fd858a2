// keystile_power write|verify DIR: the two sides of every test in this folder (README.md).
#include <CLI/CLI.hpp>

#include "power/mutants.hpp"
#include "power/store.hpp"

int main(int argc, char** argv) {
    using namespace keystile::power;
    Options options;
    CLI::App app{"Commits of a known history to a durable store, and what became of them"};
    app.require_subcommand(1);
    CLI::App* writing = app.add_subcommand("write", "go on with the history, and report");
    CLI::App* verifying = app.add_subcommand("verify", "hold what is there against the report");
    for (CLI::App* command : {writing, verifying}) {
        command->add_option("folder", options.folder, "the store's directory, absolute")->required();
        command->add_option("--segments", options.segments, "where its segment lies")->required();
        command->add_option("--report", options.report, "a file, or a block device")->required();
        command
            ->add_option("--lanes", options.lanes,
                         "threads, or those of all processes; each has keys of its own")
            ->capture_default_str();
    }
    writing->add_option("--commits", options.commits, "of each lane")->capture_default_str();
    writing->add_option("--first-lane", options.first_lane, "beside other processes")->capture_default_str();
    writing->add_flag("--flusher", options.has_flusher, "with the library's flusher thread");
    writing->add_option_function<std::string>("--mutant", [](const std::string& name) {
        if (!parse_mutant(name, &mutant)) throw CLI::ValidationError("--mutant", "there is no " + name);
    });
    CLI11_PARSE(app, argc, argv);
    return writing->parsed() ? write(options) : verify(options);
}
