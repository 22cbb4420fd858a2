// How help is laid out: CLI11's, without what a reader of help does not need.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace keystile::cli {

class HelpFormatter : public CLI::Formatter {
public:
    HelpFormatter();
    std::string make_usage(const CLI::App* app, std::string name) const override;
    std::string make_option_opts(const CLI::Option* option) const override;
    std::string make_footer(const CLI::App* app) const override;
};

}  // namespace keystile::cli
