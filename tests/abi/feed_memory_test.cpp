// A feed whose process runs out of memory: the commit that could not be shown is the next one still.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>

#include "support/test_store.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have their own operator new

namespace {

// Of this thread's allocations the one that fails, counted down; 0: none.
thread_local std::size_t failing = 0;

void* allocate(std::size_t bytes) noexcept {
    if (failing != 0 && --failing == 0) return nullptr;
    return std::malloc(bytes != 0 ? bytes : 1);
}

}  // namespace

void* operator new(std::size_t bytes) {
    if (void* const memory = allocate(bytes); memory != nullptr) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace keystile::testing {

namespace {

TEST(FeedMemory, ACommitThatCouldNotBeShownIsTheNextOneStill) {
    constexpr std::size_t kKeys = 300;
    const auto folder =
        std::filesystem::temp_directory_path() / ("keystile-feed-memory-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder);
    const std::string url = "file:" + folder.string();
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_NO_FLUSHER;
    options.expected_keys = kKeys;
    options.max_bytes = 64u << 20;
    ks_store* store = nullptr;
    ASSERT_EQ(ks_open(url.c_str(), &options, &store), KS_OK) << ks_last_error();
    for (const std::size_t keys : {std::size_t{1}, kKeys, std::size_t{2}}) {
        ks_multi* multi = nullptr;
        ASSERT_EQ(ks_multi_begin(ks_default_session(store), &multi), KS_OK);
        for (std::size_t i = 0; i < keys; ++i)
            ASSERT_EQ(ks_multi_put(multi, bytes("key " + std::to_string(i)), bytes("v"), nullptr), KS_OK);
        ASSERT_EQ(ks_multi_commit(multi), KS_OK) << ks_last_error();
        ks_multi_end(multi);
    }
    ASSERT_EQ(ks_flush(store), KS_OK);

    ks_feed* feed = nullptr;
    ks_feed_commit told{};
    ASSERT_EQ(ks_feed_open(url.c_str(), 0, &feed, nullptr), KS_OK) << ks_last_error();
    ASSERT_EQ(ks_feed_next(feed, 0, &told), KS_OK);
    EXPECT_EQ(told.size, 1u);
    // A later one each time, and what was got is kept: so it comes by each.
    ks_status s = KS_E_MEMORY;
    std::size_t failures = 0;
    for (std::size_t nth = 1; s == KS_E_MEMORY; ++nth) {
        failing = nth;
        s = ks_feed_next(feed, 0, &told);
        failing = 0;
        if (s == KS_E_MEMORY) ++failures;
    }
    EXPECT_EQ(s, KS_OK) << ks_last_error();
    EXPECT_GE(failures, 5u);
    EXPECT_EQ(told.size, kKeys);
    EXPECT_EQ(ks_feed_next(feed, 0, &told), KS_OK);
    EXPECT_EQ(told.size, 2u);
    EXPECT_EQ(ks_feed_next(feed, 0, &told), KS_TIMEOUT);
    ks_feed_close(feed);
    ks_close(store);
    EXPECT_EQ(ks_destroy(url.c_str(), 0), KS_OK);
    std::filesystem::remove_all(folder);
}

}  // namespace

}  // namespace keystile::testing

#endif
