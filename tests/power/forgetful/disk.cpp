#include "power/forgetful/disk.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace keystile::power {

namespace {

constexpr std::size_t kSectorBytes = 512;

void put(std::string& bytes, std::size_t offset, const std::string& from) {
    bytes.resize(std::max(bytes.size(), offset + from.size()));
    bytes.replace(offset, from.size(), from);
}

}  // namespace

void ForgetfulDisk::load(const std::string& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        std::ifstream stream(entry.path(), std::ios::binary);
        const auto file = std::make_shared<File>();
        file->number = ++files_;
        file->links = 1;
        file->now.assign(std::istreambuf_iterator<char>(stream), {});
        file->on_disk = file->now;
        now_[entry.path().filename()] = file;
    }
    on_disk_ = now_;
}

std::string ForgetfulDisk::remains_of(const File& file) {
    std::string bytes = file.on_disk;
    bytes.resize(dice_.one_in(2) ? file.now.size() : std::min(file.on_disk.size(), file.now.size()));
    const std::uint64_t kept_of_four = dice_.roll(5);  // of the sectors: none … all
    std::string written = bytes;
    for (const auto& [offset, from] : file.written) put(written, offset, from);
    for (std::size_t at = 0; at < bytes.size(); at += kSectorBytes) {
        const std::size_t count = std::min(kSectorBytes, bytes.size() - at);
        if (dice_.roll(4) < kept_of_four) bytes.replace(at, count, written, at, count);
    }
    return bytes;
}

void ForgetfulDisk::lose_power(const std::string& folder) {
    Names names = on_disk_;
    const bool is_in_order = dice_.one_in(2);
    const std::size_t kept = dice_.roll(changes_.size() + 1);
    for (std::size_t i = 0; i < changes_.size(); ++i) {
        if (is_in_order ? i >= kept : dice_.one_in(2)) continue;
        for (const Change& one : changes_[i]) {
            if (one.file != nullptr) {
                names[one.name] = one.file;
            } else {
                names.erase(one.name);
            }
        }
    }
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    for (const auto& [name, file] : names)
        std::ofstream(folder + "/" + name, std::ios::binary) << remains_of(*file);
}

ForgetfulDisk::FileRef ForgetfulDisk::find(const std::string& name) const {
    const auto it = now_.find(name);
    return it != now_.end() ? it->second : nullptr;
}

void ForgetfulDisk::change(std::vector<Change> changes) {
    for (const Change& one : changes) {
        if (const FileRef before = find(one.name); before != nullptr) --before->links;
        if (one.file != nullptr) {
            ++one.file->links;
            now_[one.name] = one.file;
        } else {
            now_.erase(one.name);
        }
    }
    changes_.push_back(std::move(changes));
}

int ForgetfulDisk::create(const std::string& name, unsigned mode, FileRef* file_out) {
    if (find(name) != nullptr) return EEXIST;
    *file_out = std::make_shared<File>();
    (*file_out)->number = ++files_;
    (*file_out)->mode = mode;
    change({{name, *file_out}});
    return 0;
}

int ForgetfulDisk::link(const std::string& from, const std::string& to) {
    const FileRef file = find(from);
    if (file == nullptr) return ENOENT;
    if (find(to) != nullptr) return EEXIST;
    change({{to, file}});
    return 0;
}

int ForgetfulDisk::rename(const std::string& from, const std::string& to) {
    const FileRef file = find(from);
    if (file == nullptr) return ENOENT;
    change({{from, nullptr}, {to, file}});
    return 0;
}

int ForgetfulDisk::unlink(const std::string& name) {
    if (find(name) == nullptr) return ENOENT;
    change({{name, nullptr}});
    return 0;
}

void ForgetfulDisk::write(File& file, std::size_t offset, const char* from, std::size_t bytes) {
    file.written.emplace_back(offset, std::string(from, bytes));
    put(file.now, offset, file.written.back().second);
}

void ForgetfulDisk::resize(File& file, std::size_t bytes) {
    file.now.resize(bytes);
}

void ForgetfulDisk::sync(File& file) {
    for (const auto& [offset, from] : file.written) put(file.on_disk, offset, from);
    file.on_disk.resize(file.now.size());
    file.written.clear();
}

void ForgetfulDisk::fail_sync(File& file) {
    file.written.clear();
    if (dice_.one_in(2)) file.now = file.on_disk;
}

void ForgetfulDisk::sync_names() {
    on_disk_ = now_;
    changes_.clear();
}

}  // namespace keystile::power
