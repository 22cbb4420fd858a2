// What the fault tests share: file systems of their own, other users, children, and a store that is judged
// at the end.
#pragma once

#include <gtest/gtest.h>
#include <keystile.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>

#include "support/test_store.hpp"

namespace keystile::testing {

inline constexpr int kSkipped = 77;
inline constexpr unsigned kChildSeconds = 120;  // a hang is a failure with a name

// In a child, where GoogleTest's checks are lost.
#define CHILD_CHECK(condition)                                                                            \
    do {                                                                                                  \
        if (!(condition)) {                                                                               \
            std::fprintf(stderr, "%s:%d: not so in the child: %s (%s)\n", __FILE__, __LINE__, #condition, \
                         ks_last_error());                                                                \
            return 1;                                                                                     \
        }                                                                                                 \
    } while (false)

// Exit status, or 128 + the signal that ended it.
template <class Fn>
int in_child(Fn&& fn) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(kChildSeconds);
        const int result = fn();
        std::fflush(nullptr);
        ::_exit(result);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define EXPECT_PASSED(run)                                                                          \
    do {                                                                                            \
        const int passed = (run);                                                                   \
        if (passed == kSkipped) GTEST_SKIP() << "no mount, namespace or other user to be had here"; \
        EXPECT_EQ(passed, 0);                                                                       \
    } while (false)

// In a mount namespace of its own, so that nothing is left behind however the test ends. The folder is
// kMount.
inline constexpr char kMount[] = "/mnt";

template <class Fn>
int in_tmpfs(const char* options, Fn&& fn) {
    return in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0) return kSkipped;
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kSkipped;
        if (::mount("keystile-test", kMount, "tmpfs", 0, options) != 0) return kSkipped;
        return fn();
    });
}

inline std::string url_in(const std::string& folder) {
    return "shm:" + folder + "/fault";
}

inline ks_stamp stamp_of(ks_session* session, std::string_view key) {
    ks_stamp seen{};
    (void)ks_get(session, bytes(key), nullptr, 0, nullptr, &seen);
    return seen;
}
inline ks_status put(ks_session* session, std::string_view key, std::string_view value) {
    return ks_commit(session, bytes(key), stamp_of(session, key), bytes(value), nullptr, nullptr);
}
inline ks_status erase(ks_session* session, std::string_view key) {
    return ks_delete(session, bytes(key), stamp_of(session, key), nullptr, nullptr);
}
inline ks_status claim(ks_session* session, std::string_view key) {
    ks_grant grant{};
    return ks_claim(session, bytes(key), nullptr, &grant, nullptr);
}
// The value, or the status' name.
inline std::string get(ks_session* session, std::string_view key) {
    std::size_t size = 0;
    ks_status status = ks_get(session, bytes(key), nullptr, 0, &size, nullptr);
    if (status != KS_TOO_SMALL && status != KS_OK) return ks_status_name(status);
    std::string value(size, '\0');
    status = ks_get(session, bytes(key), value.data(), value.size(), nullptr, nullptr);
    return status == KS_OK ? value : ks_status_name(status);
}

// An attached store with one session, or null pointers and `status`.
struct Lane {
    ks_store* store = nullptr;
    ks_session* session = nullptr;
    ks_status status = KS_OK;
    explicit Lane(const std::string& url, std::uint32_t flags = 0) {
        status = open_small(url, flags, &store);
        if (status == KS_OK) status = ks_session_open(store, &session);
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;
    ~Lane() { ks_close(store); }
};

}  // namespace keystile::testing
