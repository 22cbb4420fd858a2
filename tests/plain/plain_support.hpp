// A root of a test's own, and the calls as the tests write them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <keystile_files.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::testing {

inline ks_bytes bytes_in(std::string_view text) noexcept {
    return {text.data(), text.size()};
}

// A folder, gone at the end with its store.
class Folder {
public:
    Folder() {
        char name[] = "/dev/shm/keystile-files-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        (void)ks_destroy(url().c_str(), KS_DESTROY_FORCE);
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const noexcept { return path_; }
    std::string url() const { return "file:" + path_ + "/.keystile"; }
    std::string at(std::string_view file) const { return path_ + "/" + std::string(file); }

    // As another program sees and writes it. "(none)": there is no such file.
    std::string peek(std::string_view file) const {
        std::ifstream in(at(file), std::ios::binary);
        if (!in) return "(none)";
        std::stringstream all;
        all << in.rdbuf();
        return all.str();
    }
    void poke(std::string_view file, std::string_view content) const {
        std::ofstream(at(file), std::ios::binary | std::ios::trunc) << content;
    }
    // Files on their way to the disk.
    std::vector<std::string> tickets() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(at(".keystile/files")))
            names.push_back(entry.path().filename());
        return names;
    }

private:
    std::string path_;
};

struct Got {
    ks_status status = KS_OK;
    std::string data;
    ks_stamp stamp{};
};

// An opened root.
class Files {
public:
    explicit Files(const std::string& root) {
        if (ks_files_open(root.c_str(), nullptr, &files_) == KS_OK) return;
        std::fprintf(stderr, "opening %s: %s\n", root.c_str(), ks_last_error());
        std::abort();
    }
    explicit Files(const Folder& folder) : Files(folder.path()) {}
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    ~Files() { ks_files_close(files_); }
    ks_files* get() const noexcept { return files_; }

    Got read(const std::string& path) const {
        Got got;
        std::size_t size = 0;
        got.status = ks_files_read(files_, path.c_str(), nullptr, 0, &size, &got.stamp);
        while (got.status == KS_TOO_SMALL) {
            got.data.resize(size);
            got.status =
                ks_files_read(files_, path.c_str(), got.data.data(), got.data.size(), &size, &got.stamp);
        }
        if (got.status == KS_OK) got.data.resize(size);
        return got;
    }
    ks_stamp stamp(const std::string& path) const { return read(path).stamp; }
    ks_status write(const std::string& path, std::string_view data, ks_stamp seen,
                    const ks_grant* grant = nullptr, ks_receipt* receipt = nullptr) const {
        return ks_files_write(files_, path.c_str(), bytes_in(data), seen, grant, receipt);
    }
    // Over whatever is there.
    ks_status put(const std::string& path, std::string_view data) const {
        return write(path, data, stamp(path));
    }
    ks_status remove(const std::string& path) const {
        return ks_files_remove(files_, path.c_str(), stamp(path), nullptr, nullptr);
    }
    ks_status adopt(const std::string& path) const {
        return ks_files_adopt(files_, path.c_str(), nullptr, nullptr);
    }
    ks_status restore(const std::string& path) const {
        return ks_files_restore(files_, path.c_str(), nullptr);
    }
    // "path:state" of each.
    std::vector<std::string> status(std::uint32_t flags = 0, const char* prefix = nullptr) const {
        std::vector<std::string> lines;
        const auto add = [](void* user, const ks_files_entry* entry) {
            static const char* const kNames[] = {"clean",   "edited",  "missing", "untracked",
                                                 "pending", "deleted", "folder"};
            static_cast<std::vector<std::string>*>(user)->push_back(std::string(entry->path) + ":" +
                                                                    kNames[entry->state]);
            return 0;
        };
        EXPECT_EQ(ks_files_status(files_, prefix, flags, add, &lines), KS_OK) << ks_last_error();
        return lines;
    }

private:
    ks_files* files_ = nullptr;
};

}  // namespace keystile::testing
