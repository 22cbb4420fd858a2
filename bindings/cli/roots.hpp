// A folder's files as the commands use them: opened by its path, every failure a Failure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "keystile_files.h"
#include "options.hpp"

namespace keystile::cli {

enum class IfNew { kMake, kRefuse };  // a folder in which nothing was written through Keystile yet

class Root {
public:
    // `given`: empty for the working directory.
    Root(const std::string& given, std::string_view command, IfNew if_new);
    ks_files* get() const { return files_.get(); }

    // {found, content, stamp}; a foreign edit is a Failure.
    Read read(const std::string& path) const;
    ks_stamp stamp(const std::string& path) const;  // of whatever is there
    std::optional<ks_grant> grant(const std::string& path, const std::string& token) const;

private:
    struct Close {
        void operator()(ks_files* files) const { ks_files_close(files); }
    };
    std::unique_ptr<ks_files, Close> files_;
};

// Any status but KS_OK of a call on a path. A fault with a stamp in its receipt: it is committed, not on disk yet.
Failure path_refusal(ks_status status, std::string_view path, const ks_receipt& receipt, bool has_grant);

inline bool is_stamp(ks_stamp stamp) {
    return stamp.version != 0 || stamp.epoch != 0;
}

void add_path(Json& object, std::string_view path);

// Of the store of a folder's files: a key of theirs is not written as state is. In a line, if there is one.
void refuse_file_key(const std::string& url, std::string_view key, size_t line = 0);

// The commands that write; those that look are in files_command.cpp.
void add_files_write_commands(CLI::App& files, const Globals& globals, const std::string& root);

}  // namespace keystile::cli
