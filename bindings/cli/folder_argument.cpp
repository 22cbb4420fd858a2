#include "folder_argument.hpp"

#include <filesystem>

#include <fmt/format.h>

#include "text.hpp"

namespace keystile::cli {

void add_folder_argument(CLI::App* command, std::string& folder) {
    command->add_option("DIR", folder, "The store's folder, or its URL; without it the store of --store");
}

std::string durable_url(const Globals& globals, const std::string& folder) {
    if (folder.empty() && globals.store.empty())
        throw Failure{ExitCode::usage, "which store? Give DIR or --store file:/DIR, or set KEYSTILE_STORE"};
    const std::string& named = folder.empty() ? globals.store : folder;
    if (named.starts_with("file:")) return named;
    if (folder.empty() || named.starts_with("shm:")) {
        throw Failure{ExitCode::usage,
                      fmt::format("{} has no files: only file: stores have some", escaped(named))};
    }
    return "file:" + std::filesystem::absolute(named).lexically_normal().string();
}

}  // namespace keystile::cli
