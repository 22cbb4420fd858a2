// What a write of a plain file costs through us, beside what the same file costs whoever only wants it to be there
// after a loss of power. In $TMPDIR, by the clock on the wall: all of it waits for the disk.
//
//   files/write/BYTES  ks_files_write of a file that exists, on the default (durable) store. bare: a new file beside
//                      it, write, fsync, rename over it, fsync of the folder
//   files/read/BYTES   ks_files_read of a file that is clean. bare: open, read, close
#include <fcntl.h>
#include <keystile_files.h>
#include <unistd.h>

#include <cstring>

#include "rig/contest.hpp"
#include "rig/durable.hpp"

namespace keystile::bench {
namespace {

constexpr std::int64_t kWrites = 32, kReads = 1024;

class Root {
public:
    explicit Root(const std::string& folder) {
        need(ks_files_open(folder.c_str(), nullptr, &files_) == KS_OK, ks_last_error());
    }
    ~Root() {
        ks_files_close(files_);
        (void)ks_destroy(url_.c_str(), KS_DESTROY_FORCE);
    }
    Root(const Root&) = delete;
    Root& operator=(const Root&) = delete;

    // Each time something else: what is on disk already would not be written again.
    void write(std::string& data, std::int64_t times) {
        for (std::int64_t i = 0; i < times; ++i) {
            std::memcpy(data.data(), &++count_, sizeof count_);
            const ks_status s = ks_files_write(files_, "ours", {data.data(), data.size()}, receipt_.stamp,
                                               nullptr, &receipt_);
            need(s == KS_OK, ks_last_error());
        }
    }
    void read(std::string& data, std::int64_t times) const {
        for (std::int64_t i = 0; i < times; ++i) {
            std::size_t size = 0;
            need(ks_files_read(files_, "ours", data.data(), data.size(), &size, nullptr) == KS_OK,
                 ks_last_error());
        }
    }
    void set_url(std::string url) { url_ = std::move(url); }

private:
    ks_files* files_ = nullptr;
    ks_receipt receipt_{};
    std::uint64_t count_ = 0;
    std::string url_;
};

// A folder's bare file, written as carefully.
class BareReplaced {
public:
    explicit BareReplaced(const std::string& folder)
        : folder_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY)) {
        need(folder_ >= 0, "a folder");
    }
    ~BareReplaced() { ::close(folder_); }
    BareReplaced(const BareReplaced&) = delete;
    BareReplaced& operator=(const BareReplaced&) = delete;

    void write(const std::string& data, std::int64_t times) const {
        for (std::int64_t i = 0; i < times; ++i) {
            const int file = ::openat(folder_, "bare.new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            need(file >= 0 && ::write(file, data.data(), data.size()) == static_cast<ssize_t>(data.size()),
                 "write");
            need(::fsync(file) == 0, "fsync");
            ::close(file);
            need(::renameat(folder_, "bare.new", folder_, "bare") == 0, "rename");
            need(::fsync(folder_) == 0, "fsync of a folder");
        }
    }
    void read(std::string& data, std::int64_t times) const {
        for (std::int64_t i = 0; i < times; ++i) {
            const int file = ::openat(folder_, "bare", O_RDONLY | O_CLOEXEC);
            need(file >= 0 && ::read(file, data.data(), data.size()) >= 0, "read");
            ::close(file);
        }
    }

private:
    int folder_;
};

Contestant contestant(const char* name, std::int64_t ops, std::function<void(std::int64_t)> act) {
    return {name,
            ops,
            [] {},
            [ops, act = std::move(act)] {
                act(ops);
                return static_cast<std::uint64_t>(ops);
            },
            [] {},
            Clock::kWall};
}

void run_files(benchmark::State& state, std::size_t bytes, bool is_writing) {
    const Scratch folder = Scratch::on_disk();
    Root ours(folder.path());
    ours.set_url("file:" + folder.path() + "/.keystile");
    const BareReplaced bare(folder.path());
    std::string data(bytes, 'd');
    ours.write(data, 1);
    bare.write(data, 1);
    std::string buffer(bytes, '\0');
    if (is_writing) {
        run_contest(state,
                    {contestant("write", kWrites, [&](std::int64_t times) { ours.write(data, times); }),
                     contestant("bare", kWrites, [&](std::int64_t times) { bare.write(data, times); })});
    } else {
        run_contest(state,
                    {contestant("read", kReads, [&](std::int64_t times) { ours.read(buffer, times); }),
                     contestant("bare", kReads, [&](std::int64_t times) { bare.read(buffer, times); })});
    }
}

[[maybe_unused]] const bool is_added = [] {
    for (const std::size_t bytes : {4096u, 1u << 20}) {
        for (const bool is_writing : {true, false}) {
            const std::string name = (is_writing ? "files/write/" : "files/read/") + std::to_string(bytes);
            benchmark::RegisterBenchmark(name.c_str(), [bytes, is_writing](benchmark::State& state) {
                run_files(state, bytes, is_writing);
            })->UseRealTime();
        }
    }
    return true;
}();

}  // namespace
}  // namespace keystile::bench
