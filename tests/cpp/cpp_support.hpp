// What the tests of keystile.hpp share: a store of a fresh name that goes at the end of the scope, and counting.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <keystile.hpp>
#include <string>
#include <string_view>

namespace cpp_test {

class FreshUrl {
public:
    FreshUrl() {
        static int count = 0;
        // The same tests run over both kinds of stores (tests/CMakeLists.txt).
        url_ = std::string(std::getenv("KEYSTILE_TEST_DURABLE") != nullptr ? "file:/dev/shm/" : "shm:") +
               "cpp-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    }
    FreshUrl(const FreshUrl&) = delete;
    FreshUrl& operator=(const FreshUrl&) = delete;
    ~FreshUrl() {
        (void)keystile::Store::destroy(url_, true);
        if (url_.starts_with("file:")) (void)std::remove(url_.c_str() + 5);
    }
    operator const std::string&() const { return url_; }

private:
    std::string url_;
};

inline long number(std::string_view text) {
    long value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

inline std::string plus_one(std::string_view text) {
    return std::to_string(number(text) + 1);
}

// Runs fn in a forked child. Its int is the exit status; an exception or a signal is something else than 0.
template <class Fn>
pid_t start_child(Fn&& fn) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child != 0) return child;
    try {
        ::_exit(fn());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "in a child: %s\n", error.what());
        ::_exit(99);
    }
}

inline int wait_for(pid_t child) {
    int status = -1;
    if (::waitpid(child, &status, 0) != child) return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace cpp_test
