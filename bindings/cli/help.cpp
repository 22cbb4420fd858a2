#include "help.hpp"

namespace keystile::cli {

HelpFormatter::HelpFormatter() {
    column_width(28);
    label("SUBCOMMAND", "COMMAND");
    label("Subcommands", "Commands");
    label("Positionals", "Arguments");
}

std::string HelpFormatter::make_usage(const CLI::App* app, std::string name) const {
    std::string usage = Formatter::make_usage(app, std::move(name));
    if (app->get_name() == "claim") usage.insert(usage.find_last_not_of('\n') + 1, " [-- CMD...]");
    return "\n" + usage;
}

std::string HelpFormatter::make_option_opts(const CLI::Option* option) const {
    if (option->get_type_size() == 0 || option->get_type_name().empty()) return {};
    const std::string standard = option->get_default_str();
    return " " + option->get_type_name() + (standard.empty() ? "" : "=" + standard);
}

std::string HelpFormatter::make_footer(const CLI::App* app) const {
    std::string footer = Formatter::make_footer(app);
    if (app->get_parent() == nullptr) return footer;
    const CLI::App* command = app;
    while (command->get_parent()->get_parent() != nullptr) command = command->get_parent();
    const bool is_of_a_folder = command->get_name() == "files" || command->get_name() == "mcp";
    return footer + "\nOptions of every command: " + (is_of_a_folder ? "" : "--store URL, --key-base64, ") +
           "--json, --quiet; see keystile --help\n";
}

}  // namespace keystile::cli
