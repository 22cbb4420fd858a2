// keystile.h with destructors and exceptions: a store and one lane in it. Opened after fork, one per process.
#pragma once

#include <keystile.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace keystile::cli::swarm {

inline ks_bytes bytes_of(std::string_view text) {
    return {text.data(), text.size()};
}

class Lane {
public:
    // `segment_folder`: where a durable store's segment is made, should there be none.
    Lane(const std::string& url, uint32_t flags, const std::string& label,
         const std::string& segment_folder = {});
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    ks_session* session() const { return session_; }
    ks_store* store() const { return store_; }

    // Reads the value (empty if there is none) and returns the stamp to commit with.
    ks_stamp read(std::string_view key, std::string& value_out) const;
    ks_stamp stamp_of(std::string_view key) const;
    void list(std::string_view prefix, uint32_t flags,
              const std::function<void(const ks_entry&)>& visit) const;

private:
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
    mutable std::vector<char> buffer_;  // what read() reads into: grows to the largest value
};

// A store of our own: made under a name nobody else has, gone with this object however that ends.
class TemporaryStore {
public:
    explicit TemporaryStore(uint64_t seed);
    ~TemporaryStore();
    TemporaryStore(const TemporaryStore&) = delete;
    TemporaryStore& operator=(const TemporaryStore&) = delete;

    const std::string& url() const { return url_; }

private:
    std::string url_;
};

inline bool is_durable(std::string_view url) {
    return url.starts_with("file:");
}

// A folder in memory for the segment of a durable store: our own, so that it can be taken away.
// Gone with this object however that ends; a store whose segment lay here is made from its files by its next opener.
class MemoryFolder {
public:
    MemoryFolder();
    ~MemoryFolder();
    MemoryFolder(const MemoryFolder&) = delete;
    MemoryFolder& operator=(const MemoryFolder&) = delete;

    const std::string& path() const { return path_; }
    void lose();  // all that is in it; nobody may have it open

private:
    std::string path_;
};

uint64_t monotonic_ns();  // CLOCK_MONOTONIC: durations
uint64_t boottime_ns();   // CLOCK_BOOTTIME: deadlines that other processes read
void nap(uint64_t ns);

}  // namespace keystile::cli::swarm
