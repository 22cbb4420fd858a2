// A store for one benchmark program: made, filled, and destroyed with the program.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "abi/keystile.h"
#include "workload.hpp"

namespace keystile::bench {

// A benchmark that fails has nothing to say.
inline void need(bool is_true, const char* what) {
    if (is_true) return;
    std::fprintf(stderr, "bench: %s: %s\n", what, ks_last_error());
    std::exit(1);
}

// A store opened by this process.
class Opened {
public:
    explicit Opened(const std::string& url, std::uint64_t expected_keys = 0) {
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.expected_keys = expected_keys;
        need(ks_open(url.c_str(), &options, &store_) == KS_OK, "ks_open");
        need(ks_session_open(store_, &session_) == KS_OK, "ks_session_open");
    }
    ~Opened() { ks_close(store_); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    ks_store* store() const noexcept { return store_; }
    ks_session* session() const noexcept { return session_; }

private:
    ks_store* store_ = nullptr;
    ks_session* session_ = nullptr;
};

inline constexpr std::uint32_t kSpares =
    64;  // extra keys behind the others: the guarded engines use their blocks

// Keys 0 .. keys - 1 (and the extra ones), each with a value that begins with its index, each at version 1.
class Filled {
public:
    Filled(const std::string& name, std::uint32_t keys, std::size_t value_bytes)
        : file_("keystile.bench-" + std::to_string(::getpid()) + "-" + name),
          keys_(keys),
          value_bytes_(value_bytes) {
        const Opened opened(url(), keys);
        std::vector<char> value(value_bytes, 'v');
        for (std::uint64_t index = 0; index < keys + kSpares; ++index) {
            write_index(value.data(), index);
            const KeyName key = key_name(index);
            const ks_status s = ks_commit(opened.session(), {&key, sizeof key}, {0, 0},
                                          {value.data(), value.size()}, nullptr, nullptr);
            need(s == KS_OK, "filling a store");
        }
    }
    ~Filled() {
        if (::getpid() == maker_) ks_destroy(url().c_str(), KS_DESTROY_FORCE);
    }
    Filled(const Filled&) = delete;
    Filled& operator=(const Filled&) = delete;

    std::string url() const { return "shm:" + file_.substr(sizeof "keystile." - 1); }
    const std::string& file() const noexcept { return file_; }  // in /dev/shm
    std::uint32_t keys() const noexcept { return keys_; }
    std::size_t value_bytes() const noexcept { return value_bytes_; }

private:
    std::string file_;
    std::uint32_t keys_;
    std::size_t value_bytes_;
    pid_t maker_ = ::getpid();
};

}  // namespace keystile::bench
