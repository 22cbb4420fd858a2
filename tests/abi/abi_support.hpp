// What the C++ tests of keystile.h share: fresh stores, files of segments, children that report by their exit
// status.
#pragma once

#include <gtest/gtest.h>
#include <keystile.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace abi_test {

// A store name of this process's own; removed, whatever is left of it, at the end of the scope.
class FreshUrl {
public:
    explicit FreshUrl(std::string folder = "") : folder_(std::move(folder)) {
        static int count = 0;
        name_ = "abi-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    }
    FreshUrl(const FreshUrl&) = delete;
    FreshUrl& operator=(const FreshUrl&) = delete;
    ~FreshUrl() {
        (void)ks_destroy(url().c_str(), KS_DESTROY_FORCE);
        (void)std::remove(path().c_str());
    }
    std::string url() const {
        return is_durable() ? "file:" + path() : "shm:" + (folder_.empty() ? "" : folder_ + "/") + name_;
    }
    std::string path() const {
        return is_durable() ? "/dev/shm/" + name_
                            : (folder_.empty() ? "/dev/shm" : folder_) + "/keystile." + name_;
    }

private:
    // The same tests run over both kinds of stores (tests/CMakeLists.txt).
    bool is_durable() const { return folder_.empty() && std::getenv("KEYSTILE_TEST_DURABLE") != nullptr; }

    std::string folder_, name_;
};

inline ks_bytes bytes(std::string_view text) {
    return {text.data(), text.size()};
}

inline ks_status open(const std::string& url, std::uint32_t flags, ks_store** store) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = flags;
    return ks_open(url.c_str(), &options, store);
}

inline ks_stamp stamp_of(ks_session* session, std::string_view key) {
    ks_stamp seen{};
    (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &seen);
    return seen;
}

inline ks_status put(ks_session* session, std::string_view key, std::string_view value) {
    return ks_commit(session, bytes(key), stamp_of(session, key), bytes(value), nullptr, nullptr);
}

// An attached store with one session.
struct Lane {
    ks_store* store = nullptr;
    ks_session* session = nullptr;
    explicit Lane(const std::string& url, std::uint32_t flags = 0) {
        if (open(url, flags, &store) == KS_OK) (void)ks_session_open(store, &session);
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane() { ks_close(store); }
};

inline constexpr int kSkipped = 77;

// Runs fn in a forked child; its int is the exit status. A child that was killed by a signal gives 128 + signal.
template <class Fn>
int in_child(Fn&& fn) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(fn());
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// In a child, where GoogleTest's checks are lost: say what went wrong, and at which line.
#define CHILD_CHECK(condition)                                                                            \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            std::fprintf(stderr, "%s:%d: not so in the child: %s (%s)\n", __FILE__, __LINE__, #condition, \
                         ks_last_error());                                                                \
            return 1;                                                                                     \
        }                                                                                                 \
    } while (false)

}  // namespace abi_test
