// Durable stores for the benchmarks, in $TMPDIR with their segments in /dev/shm, and the bare file that they are
// compared with. All gone with the program.
#pragma once

#include <array>
#include <filesystem>

#include "journal/journal.hpp"
#include "rig/store.hpp"

namespace keystile::bench {

inline void need(engine::Status s, const char* what) {
    need(s == engine::Status::kOk, what);
}

// A folder of the benchmark's own.
class Scratch {
public:
    explicit Scratch(const std::string& parent) {
        static int number = 0;
        path_ = parent + "/keystile.bench-" + std::to_string(::getpid()) + "-" + std::to_string(number++);
        std::filesystem::create_directory(path_);
    }
    ~Scratch() {
        std::error_code ignored;
        if (::getpid() == maker_) std::filesystem::remove_all(path_, ignored);
    }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    const std::string& path() const noexcept { return path_; }

    static Scratch on_disk() {
        const char* folder = std::getenv("TMPDIR");
        return Scratch(folder != nullptr ? folder : "/tmp");
    }
    static Scratch in_memory() { return Scratch("/dev/shm"); }

private:
    std::string path_;
    pid_t maker_ = ::getpid();
};

// Opened by this process.
class DurableStore {
public:
    explicit DurableStore(const std::string& folder, std::uint32_t flags = 0, std::uint64_t expected_keys = 0)
        : url_("file:" + folder) {
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.flags = flags;
        options.expected_keys = expected_keys;
        options.segment_folder = segments_.path().c_str();
        need(ks_open(url_.c_str(), &options, &store_) == KS_OK, "ks_open");
    }
    ~DurableStore() { ks_close(store_); }
    DurableStore(const DurableStore&) = delete;
    DurableStore& operator=(const DurableStore&) = delete;
    ks_store* get() const noexcept { return store_; }

private:
    std::string url_;
    Scratch segments_ = Scratch::in_memory();
    ks_store* store_ = nullptr;
};

// One thread's lane: overwrites a key that nobody else writes, from the version it saw last.
class Committer {
public:
    Committer(ks_store* store, std::uint64_t index, std::size_t value_bytes, std::uint32_t flags)
        : value_(value_bytes, 'w') {
        options_.struct_size = sizeof options_;
        options_.flags = flags;
        need(ks_session_open(store, &session_) == KS_OK, "ks_session_open");
        const KeyName name = key_name(index);
        need(ks_resolve(session_, {&name, sizeof name}, &key_) == KS_OK, "ks_resolve");
        const ks_status s = ks_get_k(session_, key_, nullptr, 0, nullptr, &receipt_.stamp);
        need(s == KS_NOT_FOUND || s == KS_TOO_SMALL || s == KS_OK, "ks_get_k");
    }
    ~Committer() { ks_session_close(session_); }
    Committer(const Committer&) = delete;
    Committer& operator=(const Committer&) = delete;

    void commit() noexcept {
        const ks_status s =
            ks_commit_k(session_, key_, receipt_.stamp, {value_.data(), value_.size()}, &options_, &receipt_);
        if (s != KS_OK) [[unlikely]]
            need(false, ks_status_name(s));
    }
    void commit(std::int64_t times) noexcept {
        for (std::int64_t i = 0; i < times; ++i) commit();
    }

    std::uint64_t lsn() const noexcept { return receipt_.lsn; }

private:
    ks_session* session_ = nullptr;
    ks_key key_{};
    ks_receipt receipt_{};
    ks_commit_options options_{};
    std::vector<char> value_;
};

// What a commit of one key with its 16-byte name writes. The label is this program's, so up to three words.
inline std::uint64_t record_bytes_of(std::size_t value_bytes) noexcept {
    constexpr std::size_t kLabelWords = 2;
    return engine::record_bytes(kLabelWords, engine::entry_bytes(sizeof(KeyName), value_bytes));
}

// A file without a name, written over so many zeros, as the journal's are, again and again; or, without zeros, growing.
class BareFile {
public:
    explicit BareFile(std::uint64_t zeros) : bytes_(zeros) {
        const Scratch folder = Scratch::on_disk();
        const std::string path = folder.path() + "/bare";
        need(engine::disk_create(path, 0600, &file_), "a scratch file");
        const std::string some(1 << 20, '\0');
        for (std::uint64_t at = 0; at < zeros; at += some.size())
            need(engine::disk_write(file_, at, some.data(), some.size()), "zeros");
        need(engine::disk_sync(file_), "fsync");
    }
    void write(const void* data, std::uint64_t bytes) {
        if (bytes_ != 0 && at_ + bytes > bytes_) at_ = 0;
        need(engine::disk_write(file_, at_, data, bytes), "pwrite");
        at_ += bytes;
    }
    void sync() { need(engine::disk_sync_data(file_), "fdatasync"); }

private:
    engine::DiskFile file_;
    std::uint64_t bytes_;
    std::uint64_t at_ = 0;
};

}  // namespace keystile::bench
