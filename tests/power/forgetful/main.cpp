// keystile_forgetful_fs MOUNT: the forgetful disk as a file system (FUSE), one thread, one folder.
//
// The power goes in the middle of the n-th call that changes something (--cut-at), or when it is unmounted: what is
// left goes to a real folder (--left), the calls made are told, and nobody gets an answer any more. All writes come
// here, past the kernel's page cache (direct_io): what is in memory alone is known here and nowhere else.
#define FUSE_USE_VERSION 35
#include <fuse3/fuse.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "power/forgetful/disk.hpp"

namespace keystile::power {

namespace {

struct Options {
    std::string mount, from, left;
    std::uint64_t cut_at = 0;     // 0: only at the end
    std::uint64_t fail_sync = 0;  // which one, counted from 1; 0: none
    std::uint64_t seed = 1;
};

Options options;
ForgetfulDisk* disk = nullptr;
std::uint64_t calls = 0, syncs = 0;

[[noreturn]] void lose_power() {
    disk->lose_power(options.left);
    std::printf("calls %llu syncs %llu\n", static_cast<unsigned long long>(calls),
                static_cast<unsigned long long>(syncs));
    std::fflush(stdout);
    ::_exit(0);
}

// Of every call that changes something, behind the change and before the answer.
int answer(int error) {
    if (++calls == options.cut_at) lose_power();
    return -error;
}

std::string name_of(const char* path) {
    return path + 1;  // behind the slash
}

// A handle outlives the name.
ForgetfulDisk::FileRef& file_of(const fuse_file_info* info) {
    return *reinterpret_cast<ForgetfulDisk::FileRef*>(info->fh);
}

ForgetfulDisk::FileRef find(const char* path, const fuse_file_info* info) {
    return info != nullptr && info->fh != 0 ? file_of(info) : disk->find(name_of(path));
}

void open_to(ForgetfulDisk::FileRef file, fuse_file_info* info) {
    info->fh = reinterpret_cast<std::uint64_t>(new ForgetfulDisk::FileRef(std::move(file)));
    info->direct_io = 1;
}

int on_getattr(const char* path, struct stat* to, fuse_file_info* info) {
    *to = {};
    to->st_uid = ::getuid();
    to->st_gid = ::getgid();
    if (path != nullptr && std::strcmp(path, "/") == 0) {
        to->st_mode = S_IFDIR | 0700;
        to->st_nlink = 2;
        to->st_ino = 1;
        return 0;
    }
    const ForgetfulDisk::FileRef file = find(path, info);
    if (file == nullptr) return -ENOENT;
    to->st_mode = S_IFREG | file->mode;
    to->st_nlink = file->links;
    to->st_ino = file->number;
    to->st_size = static_cast<off_t>(file->now.size());
    return 0;
}

int on_readdir(const char*, void* to, fuse_fill_dir_t fill, off_t, fuse_file_info*, fuse_readdir_flags) {
    for (const auto& [name, file] : disk->names()) fill(to, name.c_str(), nullptr, 0, fuse_fill_dir_flags{});
    return 0;
}

int on_create(const char* path, mode_t mode, fuse_file_info* info) {
    ForgetfulDisk::FileRef file;
    const int error = disk->create(name_of(path), mode & 07777, &file);
    if (error == 0) open_to(file, info);
    return answer(error);
}

int on_open(const char* path, fuse_file_info* info) {
    const ForgetfulDisk::FileRef file = disk->find(name_of(path));
    if (file == nullptr) return -ENOENT;
    open_to(file, info);
    return 0;
}

int on_release(const char*, fuse_file_info* info) {
    delete &file_of(info);
    return 0;
}

int on_read(const char*, char* to, std::size_t bytes, off_t offset, fuse_file_info* info) {
    const std::string& now = file_of(info)->now;
    const auto at = std::min(static_cast<std::size_t>(offset), now.size());
    return static_cast<int>(now.copy(to, bytes, at));
}

int on_write(const char*, const char* from, std::size_t bytes, off_t offset, fuse_file_info* info) {
    ForgetfulDisk::write(*file_of(info), static_cast<std::size_t>(offset), from, bytes);
    answer(0);
    return static_cast<int>(bytes);
}

int on_truncate(const char* path, off_t bytes, fuse_file_info* info) {
    const ForgetfulDisk::FileRef file = find(path, info);
    if (file == nullptr) return -ENOENT;
    ForgetfulDisk::resize(*file, static_cast<std::size_t>(bytes));
    return answer(0);
}

// The power may go before it is done, too.
bool may_sync() {
    answer(0);
    return ++syncs != options.fail_sync;
}

int on_fsync(const char*, int, fuse_file_info* info) {
    const bool may = may_sync();
    may ? ForgetfulDisk::sync(*file_of(info)) : disk->fail_sync(*file_of(info));
    return may ? 0 : -EIO;
}

int on_fsyncdir(const char*, int, fuse_file_info*) {
    if (!may_sync()) return -EIO;
    disk->sync_names();
    return 0;
}

int on_chmod(const char* path, mode_t mode, fuse_file_info* info) {
    const ForgetfulDisk::FileRef file = find(path, info);
    if (file == nullptr) return -ENOENT;
    file->mode = mode & 07777;
    return 0;
}

int on_link(const char* from, const char* to) {
    return answer(disk->link(name_of(from), name_of(to)));
}

int on_rename(const char* from, const char* to, unsigned flags) {
    return answer(flags != 0 ? EINVAL : disk->rename(name_of(from), name_of(to)));
}

int on_unlink(const char* path) {
    return answer(disk->unlink(name_of(path)));
}

void* on_init(fuse_conn_info*, fuse_config* config) {
    config->hard_remove = 1;  // a name that goes is gone, open or not
    config->use_ino = 1;
    config->nullpath_ok = 1;
    config->attr_timeout = config->entry_timeout = config->negative_timeout = 0;
    std::puts("mounted");
    std::fflush(stdout);
    return nullptr;
}

int serve(const char* program) {
    fuse_operations operations{};
    operations.init = on_init;
    operations.getattr = on_getattr;
    operations.readdir = on_readdir;
    operations.create = on_create;
    operations.open = on_open;
    operations.release = on_release;
    operations.read = on_read;
    operations.write = on_write;
    operations.truncate = on_truncate;
    operations.fsync = on_fsync;
    operations.fsyncdir = on_fsyncdir;
    operations.chmod = on_chmod;
    operations.link = on_link;
    operations.rename = on_rename;
    operations.unlink = on_unlink;
    std::string arguments[] = {program, options.mount, "-f", "-s"};  // in the foreground, one thread
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), arguments[3].data(),
                    nullptr};
    return fuse_main(4, argv, &operations, nullptr);
}

}  // namespace

}  // namespace keystile::power

int main(int argc, char** argv) {
    using namespace keystile::power;
    CLI::App app{"A file system that forgets what was not synced"};
    app.add_option("mount", options.mount, "an empty folder")->required();
    app.add_option("--left", options.left, "a folder, made new: what is left when the power goes")
        ->required();
    app.add_option("--from", options.from, "a folder whose files are there from the beginning");
    app.add_option("--cut-at", options.cut_at, "the power goes in the n-th call that changes something");
    app.add_option("--fail-sync", options.fail_sync,
                   "the n-th sync answers EIO, and what it was to sync is lost");
    app.add_option("--seed", options.seed, "of what is left")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    ForgetfulDisk forgetful(options.seed);
    disk = &forgetful;
    if (!options.from.empty()) disk->load(options.from);
    if (const int code = serve(argv[0]); code != 0) return code;
    lose_power();
}
