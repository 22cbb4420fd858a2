// Files that are no segments, or no longer: each is a typed fault, the file is left alone, nothing crashes or
// hangs.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "abi_support.hpp"

namespace {

using abi_test::FreshUrl;
using abi_test::Lane;

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(file ? std::filesystem::file_size(path) : 0, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
}

void spill(const std::string& path, std::string_view text) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

ks_status open_and_close(const std::string& url, std::uint32_t flags = 0) {
    ks_store* store = nullptr;
    const ks_status status = abi_test::open(url, flags, &store);
    ks_close(store);
    return status;
}

// A closed store with some content, small enough to be read as a file.
void make_store(const FreshUrl& fresh) {
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.max_bytes = 32u << 20;
    options.expected_keys = 100;
    ks_store* store = nullptr;
    ASSERT_EQ(ks_open(fresh.url().c_str(), &options, &store), KS_OK);
    ks_close(store);
    const Lane lane(fresh.url());
    for (int i = 0; i < 20; ++i)
        ASSERT_EQ(abi_test::put(lane.session, "key " + std::to_string(i), "value"), KS_OK);
}

void overwrite(const std::string& path, std::size_t offset, std::string_view what) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(what.data(), static_cast<std::streamsize>(what.size()));
}

TEST(ForeignFile, IsNotAStoreAndIsLeftAlone) {
    const FreshUrl fresh;
    const std::string text(10000, 'x');
    spill(fresh.path(), text);
    EXPECT_EQ(open_and_close(fresh.url()), KS_E_NOT_A_STORE);
    EXPECT_EQ(open_and_close(fresh.url(), KS_OPEN_READ_ONLY), KS_E_NOT_A_STORE);
    EXPECT_EQ(open_and_close(fresh.url(), KS_OPEN_MUST_CREATE), KS_E_EXISTS);
    EXPECT_EQ(ks_destroy(fresh.url().c_str(), 0), KS_E_NOT_A_STORE);
    EXPECT_EQ(slurp(fresh.path()), text);
}

// Shorter than a header, too: nobody's notes are removed because a store was expected in their place.
TEST(ForeignFile, OfAnyLengthIsNotAStoreAndIsLeftAlone) {
    for (const std::size_t size : {0u, 1u, 7u, 8u, 17u, 511u, 512u, 4096u}) {
        const FreshUrl fresh;
        const std::string text(size, 'x');
        spill(fresh.path(), text);
        EXPECT_EQ(open_and_close(fresh.url()), KS_E_NOT_A_STORE) << size;
        EXPECT_EQ(open_and_close(fresh.url(), KS_OPEN_READ_ONLY), KS_E_NOT_A_STORE) << size;
        for (const std::uint32_t flags : {0u, KS_DESTROY_FORCE}) {
            EXPECT_EQ(ks_destroy(fresh.url().c_str(), flags), KS_E_NOT_A_STORE) << size;
        }
        ASSERT_TRUE(std::filesystem::exists(fresh.path())) << size;
        EXPECT_EQ(slurp(fresh.path()), text);
    }
}

TEST(ForeignFile, OfAnyKindIsAFaultAndNobodyWaits) {
    const FreshUrl folder, pipe, dangling, elsewhere;
    std::filesystem::create_directory(folder.path());
    ASSERT_EQ(::mkfifo(pipe.path().c_str(), 0600), 0);
    std::filesystem::create_symlink("/nowhere/at/all", dangling.path());
    std::filesystem::create_symlink("/etc/hostname", elsewhere.path());
    for (const FreshUrl* url : {&folder, &pipe, &dangling, &elsewhere}) {
        for (const std::uint32_t flags : {0u, KS_OPEN_READ_ONLY, KS_OPEN_MUST_CREATE}) {
            EXPECT_LT(open_and_close(url->url(), flags), 0) << url->path();
        }
        EXPECT_LT(ks_destroy(url->url().c_str(), 0), 0) << url->path();
        EXPECT_NE(std::filesystem::symlink_status(url->path()).type(), std::filesystem::file_type::not_found);
    }
}

TEST(DamagedFile, TruncatedIsCorrupt) {
    const FreshUrl fresh;
    make_store(fresh);
    const auto whole = std::filesystem::file_size(fresh.path());
    for (const std::uintmax_t size : {whole - 1, whole / 2, std::uintmax_t{65536}, std::uintmax_t{4096}}) {
        std::filesystem::resize_file(fresh.path(), size);
        EXPECT_EQ(open_and_close(fresh.url()), KS_E_CORRUPT) << size;
        EXPECT_EQ(open_and_close(fresh.url(), KS_OPEN_READ_ONLY), KS_E_CORRUPT) << size;
    }
    for (const std::uintmax_t size :
         {std::uintmax_t{100}, std::uintmax_t{8}}) {  // the magic says whose it is
        std::filesystem::resize_file(fresh.path(), size);
        EXPECT_EQ(open_and_close(fresh.url()), KS_E_CORRUPT) << size;
        EXPECT_EQ(ks_destroy(fresh.url().c_str(), 0), KS_E_CORRUPT) << size;
    }
    for (const std::uintmax_t size : {std::uintmax_t{7}, std::uintmax_t{0}}) {  // and now nothing does
        std::filesystem::resize_file(fresh.path(), size);
        EXPECT_EQ(open_and_close(fresh.url()), KS_E_NOT_A_STORE) << size;
        EXPECT_EQ(ks_destroy(fresh.url().c_str(), KS_DESTROY_FORCE), KS_E_NOT_A_STORE) << size;
    }
    EXPECT_TRUE(std::filesystem::exists(fresh.path()));
}

TEST(DamagedFile, IsRemovedWithForceOnly) {
    const FreshUrl fresh;
    make_store(fresh);
    std::filesystem::resize_file(fresh.path(), 65536);
    EXPECT_EQ(ks_destroy(fresh.url().c_str(), 0), KS_E_CORRUPT);
    EXPECT_EQ(ks_destroy(fresh.url().c_str(), KS_DESTROY_FORCE), KS_OK);
    EXPECT_EQ(open_and_close(fresh.url(), KS_OPEN_MUST_CREATE), KS_OK);
}

TEST(DamagedFile, ZeroedIsNoStore) {
    const FreshUrl fresh;
    make_store(fresh);
    const auto whole = std::filesystem::file_size(fresh.path());
    std::filesystem::resize_file(fresh.path(), 0);
    std::filesystem::resize_file(fresh.path(), whole);
    EXPECT_EQ(open_and_close(fresh.url()), KS_E_NOT_A_STORE);
}

// Method: flip each byte of the header alone, open, use, close. Most bytes must be refused; whichever is not (a
// counter, a free place) must do no harm. In a child, so that a crash is a failure and not the end of the test.
TEST(DamagedFile, EachFlippedHeaderByteIsAFaultOrHarmless) {
    const FreshUrl fresh;
    make_store(fresh);
    constexpr std::size_t kHeaderBytes = 512;
    const std::string header = slurp(fresh.path()).substr(0, kHeaderBytes);
    std::set<ks_status> met;
    for (std::size_t at = 0; at < kHeaderBytes; ++at) {
        std::string flipped = header;
        flipped[at] = static_cast<char>(~flipped[at]);
        overwrite(fresh.path(), 0, flipped);
        const int status = abi_test::in_child([&] {
            ks_store* store = nullptr;
            const ks_status opened = abi_test::open(fresh.url(), 0, &store);
            if (opened != KS_OK) return -opened;
            ks_session* session = nullptr;
            char buf[16];
            if (ks_session_open(store, &session) == KS_OK) {
                (void)ks_get(session, abi_test::bytes("key 1"), buf, sizeof buf, nullptr, nullptr);
                (void)abi_test::put(session, "key 2", "new");
            }
            (void)ks_check(store, nullptr, nullptr, nullptr);
            ks_close(store);
            return 0;
        });
        overwrite(fresh.path(), 0, header);
        met.insert(static_cast<ks_status>(-status));
        const std::set<int> allowed = {
            0,          -KS_E_NOT_A_STORE, -KS_E_LAYOUT, -KS_E_CORRUPT, -KS_E_DESTROYED, -KS_E_NAMESPACE,
            -KS_E_FULL, -KS_E_PARTICIPANTS};
        EXPECT_TRUE(allowed.contains(status)) << "byte " << at << " gave " << status;
    }
    EXPECT_TRUE(met.contains(KS_E_NOT_A_STORE));  // the magic
    EXPECT_TRUE(met.contains(KS_E_LAYOUT));       // version and fingerprint
    EXPECT_TRUE(met.contains(KS_E_CORRUPT));      // the sizes
}

// Who has it open goes on by what he validated, so nobody else would tell.
TEST(DamagedStore, WithASpoiltHeaderIsFoundByCheckWhileItIsOpen) {
    const FreshUrl fresh;
    make_store(fresh);
    const Lane lane(fresh.url()), reader(fresh.url(), KS_OPEN_READ_ONLY);
    const std::string header = slurp(fresh.path()).substr(0, 512);
    const auto tell = [](void* user, const char* text) { *static_cast<std::string*>(user) += text; };
    const auto expect_problem = [&](std::string_view what) {
        for (ks_store* const store : {lane.store, reader.store}) {
            std::string told;
            EXPECT_EQ(ks_check(store, tell, &told, nullptr), KS_E_CORRUPT) << what;
            EXPECT_NE(told.find("the header"), std::string::npos) << what << ": " << told;
        }
        overwrite(fresh.path(), 0, header);
        EXPECT_EQ(ks_check(lane.store, nullptr, nullptr, nullptr), KS_OK) << what;
    };
    overwrite(fresh.path(), 0, std::string(header.size(), '\0'));
    expect_problem("all zero");
    struct Field {
        const char* name;
        std::size_t offset;
    };
    for (const Field& field : {Field{"magic", 0}, Field{"layout version", 8}, Field{"root bits", 12},
                               Field{"fingerprint", 16}, Field{"segment bytes", 24}, Field{"store id", 32}}) {
        const std::string flipped(1, static_cast<char>(~header[field.offset]));
        overwrite(fresh.path(), field.offset, flipped);
        expect_problem(field.name);
    }
}

TEST(DamagedStore, IsFoundByCheckAndToldInSentences) {
    const FreshUrl fresh;
    make_store(fresh);
    // Spoil every value that lies in the file as "value" and everything behind it up to the next 64 bytes.
    const std::string image = slurp(fresh.path());
    std::size_t spoiled = 0;
    for (std::size_t at = image.find("value"); at != std::string::npos; at = image.find("value", at + 64)) {
        overwrite(fresh.path(), at - at % 64 - 64, std::string(64, '\xa5'));  // the header of the block
        ++spoiled;
    }
    ASSERT_GT(spoiled, 0u);
    const int status = abi_test::in_child([&] {
        Lane lane(fresh.url());
        CHILD_CHECK(lane.session != nullptr);
        int problems = 0;
        ks_check_report report{};
        report.struct_size = sizeof report;
        const auto count = [](void* user, const char* text) { *static_cast<int*>(user) += text[0] != '\0'; };
        CHILD_CHECK(ks_check(lane.store, count, &problems, &report) == KS_E_CORRUPT);
        CHILD_CHECK(problems > 0 && report.problems >= static_cast<std::uint64_t>(problems));
        char buf[64];
        for (int i = 0; i < 20; ++i) {  // each call answers; it does not crash
            (void)ks_get(lane.session, abi_test::bytes("key " + std::to_string(i)), buf, sizeof buf, nullptr,
                         nullptr);
            (void)abi_test::put(lane.session, "key " + std::to_string(i), "new");
        }
        return 0;
    });
    EXPECT_EQ(status, 0);
}

}  // namespace
