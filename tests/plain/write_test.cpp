// One path: read, write, remove, and what the stamps say.
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "plain/plain_support.hpp"

namespace keystile::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FilesWrite, WhatIsWrittenIsAnOrdinaryFile) {
    const Folder folder;
    const Files files(folder);
    ks_receipt receipt{};
    EXPECT_EQ(files.read("plan.md").status, KS_NOT_FOUND);
    ASSERT_EQ(files.write("plan.md", "one", {}, nullptr, &receipt), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("plan.md"), "one");
    const Got got = files.read("plan.md");
    EXPECT_EQ(got.status, KS_OK);
    EXPECT_EQ(got.data, "one");
    EXPECT_EQ(got.stamp.version, receipt.stamp.version);
    EXPECT_EQ(receipt.lsn, receipt.stamp.version);
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

TEST(FilesWrite, ARefusedWriteLeavesNoByte) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp old = files.stamp("f");
    ASSERT_EQ(files.write("f", "two", old), KS_OK);
    ks_receipt receipt{};
    EXPECT_EQ(files.write("f", "three", old, nullptr, &receipt), KS_CONFLICT);
    EXPECT_EQ(receipt.stamp.version, files.stamp("f").version);
    EXPECT_EQ(files.write("f", "three", {}), KS_CONFLICT);
    EXPECT_EQ(files.write("new/in/folders", "three", {7, 0}), KS_CONFLICT);
    EXPECT_EQ(folder.peek("f"), "two");
    EXPECT_FALSE(std::filesystem::exists(folder.at("new")));
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

TEST(FilesWrite, AnyContentInAnyFolder) {
    const Folder folder;
    const Files files(folder);
    std::string binary(100'000, '\0');
    for (std::size_t i = 0; i < binary.size(); ++i) binary[i] = static_cast<char>(i * 7);
    for (const std::string& content : {std::string(), binary, std::string(KS_FILES_SIZE_MAX, 'x')}) {
        ASSERT_EQ(files.put("a/b/c.bin", content), KS_OK) << ks_last_error();
        const Got got = files.read("a/b/c.bin");
        EXPECT_EQ(got.status, KS_OK);
        EXPECT_TRUE(got.data == content) << content.size();
        EXPECT_TRUE(folder.peek("a/b/c.bin") == content) << content.size();
    }
    EXPECT_EQ(files.put("a/large", std::string(KS_FILES_SIZE_MAX + 1, 'x')), KS_E_VALUE_SIZE);
}

// Another's array or mapping: what lands is some mix of it, but the store and the path stay sound.
TEST(FilesWrite, MemoryThatChangesMeanwhileSpoilsNothing) {
    const Folder folder;
    const Files files(folder);
    std::string content(4 << 20, 'x');
    volatile char* const last = &content.back();
    std::atomic<bool> is_over = false;
    std::thread scribbler([&] {
        while (!is_over) *last = static_cast<char>(*last + 1);
    });
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(files.put("f", content), KS_OK) << ks_last_error();
        EXPECT_EQ(files.read("f").status, KS_OK) << ks_last_error();
    }
    is_over = true;
    scribbler.join();
}

TEST(FilesWrite, OneKeyForAllSpellings) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a/b", "one"), KS_OK);
    EXPECT_EQ(files.read("./a//./b").data, "one");
    char key[64];
    std::size_t size = 0;
    ASSERT_EQ(ks_files_key(files.get(), "./a//b", key, sizeof key, &size), KS_OK);
    EXPECT_EQ(std::string(key, size), "files/a/b");
    EXPECT_EQ(ks_files_key(files.get(), "a/b", key, size, &size), KS_TOO_SMALL);
    EXPECT_EQ(size, 9u);
}

TEST(FilesWrite, ADeletedFileHasAVersionStill) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp old = files.stamp("f");
    EXPECT_EQ(files.remove("f"), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("f"), "(none)");
    const Got gone = files.read("f");
    EXPECT_EQ(gone.status, KS_NOT_FOUND);
    EXPECT_GT(gone.stamp.version, old.version);
    EXPECT_EQ(files.write("f", "two", old), KS_CONFLICT);
    EXPECT_EQ(files.remove("f"), KS_NOT_FOUND);
    EXPECT_EQ(files.remove("never"), KS_NOT_FOUND);
    EXPECT_EQ(files.write("f", "two", gone.stamp), KS_OK);
    EXPECT_EQ(folder.peek("f"), "two");
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

TEST(FilesWrite, WhatIsNotThereIsNotDeletedUnderAClaimEither) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("gone", "one"), KS_OK);
    ASSERT_EQ(files.remove("gone"), KS_OK);
    for (const char* path : {"never", "gone"}) {
        const ks_stamp before = files.stamp(path);
        ks_grant grant{};
        ASSERT_EQ(ks_files_claim(files.get(), path, nullptr, &grant, nullptr), KS_OK);
        for (const ks_stamp seen : {before, grant.stamp})
            EXPECT_EQ(ks_files_remove(files.get(), path, seen, &grant, nullptr), KS_NOT_FOUND) << path;
        EXPECT_EQ(files.stamp(path).version, before.version);
        ASSERT_EQ(ks_files_release(files.get(), &grant, nullptr), KS_OK);
        EXPECT_EQ(ks_files_remove(files.get(), path, before, &grant, nullptr), KS_FENCED) << path;
        EXPECT_EQ(files.stamp(path).version, before.version);
    }
}

TEST(FilesWrite, ModesAreKept) {
    const Folder folder;
    const Files files(folder);
    folder.poke("script", "#!");
    ASSERT_EQ(::chmod(folder.at("script").c_str(), 0751), 0);
    ASSERT_EQ(files.put("script", "#!/bin/sh"), KS_OK);
    struct stat info;
    ASSERT_EQ(::stat(folder.at("script").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0751u);
    ASSERT_EQ(files.put("new", "x"), KS_OK);
    ASSERT_EQ(::stat(folder.at("new").c_str(), &info), 0);
    const mode_t mask = ::umask(022);
    ::umask(mask);
    EXPECT_EQ(info.st_mode & 07777u, 0666u & ~mask);
}

// A process of a user who may not write everywhere; it owns the folder, but not what the caller made before.
int run_as_nobody(const Folder& folder, const std::function<int()>& run) {
    EXPECT_EQ(::chmod(folder.path().c_str(), 0777), 0);
    return run_in_child([&] {
        constexpr uid_t kNobody = 65534;
        if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) return 100;
        return run();
    });
}

struct stat stat_of(const Folder& folder, const char* file) {
    struct stat info{};
    EXPECT_EQ(::stat(folder.at(file).c_str(), &info), 0) << file;
    return info;
}

// A new inode is its writer's: what was another's right to act as him does not become one to act as the writer.
TEST(FilesWrite, SetIdBitsGoWhereTheOwnerChanges) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make another's file";
    const Folder folder;
    const Files files(folder);
    for (const char* name : {"theirs", "ours"}) {
        folder.poke(name, "x");
        const uid_t owner = name == std::string("ours") ? 0 : 65534;
        ASSERT_EQ(::chown(folder.at(name).c_str(), owner, ::getegid()), 0);
        ASSERT_EQ(::chmod(folder.at(name).c_str(), 06755), 0);
        ASSERT_EQ(files.put(name, "#!/bin/sh"), KS_OK) << ks_last_error();
    }
    EXPECT_EQ(stat_of(folder, "theirs").st_mode & 07777u, 0755u);
    EXPECT_EQ(stat_of(folder, "ours").st_mode & 07777u, 06755u);
    ASSERT_EQ(ks_files_rename(files.get(), "ours", files.stamp("ours"), nullptr, "new", {}, nullptr, nullptr),
              KS_OK);
    EXPECT_EQ(stat_of(folder, "new").st_mode & 07777u, 0755u);
}

TEST(FilesWrite, TheGroupIsKeptOrHasNoMoreThanOthers) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make another's file";
    constexpr gid_t kGroup = 1000;
    const Folder folder;
    const Files files(folder);
    folder.poke("f", "x");
    ASSERT_EQ(::chown(folder.at("f").c_str(), ~0u, kGroup), 0);
    ASSERT_EQ(::chmod(folder.at("f").c_str(), 0664), 0);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    EXPECT_EQ(stat_of(folder, "f").st_gid, kGroup);
    EXPECT_EQ(stat_of(folder, "f").st_mode & 07777u, 0664u);

    std::filesystem::create_directory(folder.at("team"));
    ASSERT_EQ(::chown(folder.at("team").c_str(), ~0u, kGroup), 0);
    ASSERT_EQ(::chmod(folder.at("team").c_str(), 02775), 0);
    ASSERT_EQ(files.put("team/new", "x"), KS_OK);
    ASSERT_EQ(files.put("team/sub/new", "x"), KS_OK);
    for (const char* name : {"team/new", "team/sub/new"})
        EXPECT_EQ(stat_of(folder, name).st_gid, kGroup) << name;

    const Folder nobodys;
    nobodys.poke("f", "x");
    ASSERT_EQ(::chown(nobodys.at("f").c_str(), ~0u, kGroup), 0);
    ASSERT_EQ(::chmod(nobodys.at("f").c_str(), 0664), 0);
    EXPECT_EQ(run_as_nobody(nobodys, [&] { return Files(nobodys).put("f", "two") == KS_OK ? 0 : 1; }), 0);
    EXPECT_EQ(nobodys.peek("f"), "two");
    EXPECT_NE(stat_of(nobodys, "f").st_gid, kGroup);
    EXPECT_EQ(stat_of(nobodys, "f").st_mode & 07777u, 0644u);
}

TEST(FilesWrite, AFolderThatMayNotBeWrittenIsToldBefore) {
    const Folder folder;
    EXPECT_EQ(run_as_nobody(folder,
                            [&] {
                                const Files files(folder);
                                const ks_stamp never{};
                                if (files.put("ro/f", "one") != KS_OK) return 1;
                                const ks_stamp seen = files.stamp("ro/f");
                                if (::chmod(folder.at("ro").c_str(), 0555) != 0) return 2;
                                ks_receipt receipt{};
                                if (files.write("ro/g", "x", never, nullptr, &receipt) != KS_E_PERMISSION)
                                    return 3;
                                if (receipt.stamp.version != 0 || files.read("ro/g").stamp.version != 0)
                                    return 4;
                                // A removal too: else it is committed, and takes place when nobody expects it any more.
                                if (ks_files_remove(files.get(), "ro/f", seen, nullptr, &receipt) !=
                                    KS_E_PERMISSION)
                                    return 5;
                                if (receipt.stamp.version != 0 || files.stamp("ro/f").version != seen.version)
                                    return 6;
                                ks_files_change changes[2]{};
                                changes[0].path = "h";
                                changes[0].data = bytes_in("new");
                                changes[1].path = "ro/f";
                                changes[1].flags = KS_FILES_REMOVE;
                                changes[1].seen = seen;
                                if (ks_files_publish(files.get(), changes, 2, nullptr) != KS_E_PERMISSION)
                                    return 7;
                                if (folder.peek("h") != "(none)") return 8;
                                (void)::chmod(folder.at("ro").c_str(), 0755);
                                return 0;
                            }),
              0);
}

TEST(FilesWrite, AnothersFileInAStickyFolderIsToldBefore) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make another's file";
    const Folder folder;
    std::filesystem::create_directory(folder.at("tmp"));
    ASSERT_EQ(::chmod(folder.at("tmp").c_str(), 01777), 0);
    folder.poke("tmp/f", "root's");
    EXPECT_EQ(run_as_nobody(folder,
                            [&] {
                                const Files files(folder);
                                const Got got = files.read("tmp/f");
                                ks_receipt receipt{};
                                const ks_status s = files.write("tmp/f", "x", got.stamp, nullptr, &receipt);
                                if (s != KS_E_PERMISSION || receipt.stamp.version != 0) return 1;
                                return files.write("tmp/g", "x", {}) == KS_OK ? 0 : 2;
                            }),
              0);
    EXPECT_EQ(folder.peek("tmp/f"), "root's");
}

TEST(FilesWrite, WithoutThePlaceForTicketsNothingIsCommitted) {
    const Folder folder;
    const Files files(folder);
    EXPECT_EQ(folder.peek(".keystile/.gitignore"), "*\n");  // `git stash -u` would take it away
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp seen = files.stamp("f");
    std::filesystem::remove_all(folder.at(".keystile/files"));
    ks_receipt receipt{};
    EXPECT_EQ(files.write("f", "two", seen, nullptr, &receipt), KS_E_SYSTEM);
    EXPECT_EQ(receipt.stamp.version, 0u);
    EXPECT_EQ(files.read("f").data, "one");
    const Files again(folder);
    EXPECT_EQ(again.put("f", "two"), KS_OK);
}

TEST(FilesRename, TakesContentAndMode) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a", "one"), KS_OK);
    ASSERT_EQ(::chmod(folder.at("a").c_str(), 0640), 0);
    const ks_stamp a = files.stamp("a");
    ks_receipt receipt{};
    EXPECT_EQ(ks_files_rename(files.get(), "a", {}, nullptr, "d/b", {}, nullptr, &receipt), KS_CONFLICT);
    ASSERT_EQ(ks_files_rename(files.get(), "a", a, nullptr, "d/b", {}, nullptr, &receipt), KS_OK)
        << ks_last_error();
    EXPECT_EQ(folder.peek("a"), "(none)");
    EXPECT_EQ(folder.peek("d/b"), "one");
    EXPECT_EQ(files.read("d/b").stamp.version, receipt.stamp.version);
    struct stat info;
    ASSERT_EQ(::stat(folder.at("d/b").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0640u);
    EXPECT_EQ(ks_files_rename(files.get(), "a", files.stamp("a"), nullptr, "c", {}, nullptr, nullptr),
              KS_NOT_FOUND);
    ASSERT_EQ(files.put("a", "two"), KS_OK);
    EXPECT_EQ(ks_files_rename(files.get(), "a", files.stamp("a"), nullptr, "d/b", {}, nullptr, &receipt),
              KS_CONFLICT);
    EXPECT_EQ(ks_files_rename(files.get(), "a", files.stamp("a"), nullptr, "./a", {}, nullptr, &receipt),
              KS_E_ARGUMENT);
    EXPECT_EQ(ks_files_rename(files.get(), "a", files.stamp("a"), nullptr, "d/b", files.stamp("d/b"), nullptr,
                              &receipt),
              KS_OK);
    EXPECT_EQ(folder.peek("d/b"), "two");
}

TEST(FilesRename, ActsUnderTheClaimsOfBothNames) {
    const Folder folder;
    const Files files(folder), others(folder);
    ASSERT_EQ(files.put("a", "one"), KS_OK);
    ASSERT_EQ(files.put("b", "two"), KS_OK);
    const ks_stamp a = files.stamp("a"), b = files.stamp("b");
    ks_grant from{}, to{};
    ASSERT_EQ(ks_files_claim(files.get(), "a", nullptr, &from, nullptr), KS_OK);
    ASSERT_EQ(ks_files_claim(files.get(), "b", nullptr, &to, nullptr), KS_OK);
    const auto rename = [&](const ks_grant* of_a, const ks_grant* of_b) {
        return ks_files_rename(files.get(), "a", a, of_a, "b", b, of_b, nullptr);
    };
    EXPECT_EQ(rename(nullptr, nullptr), KS_HELD);
    EXPECT_EQ(rename(&from, nullptr), KS_HELD);
    EXPECT_EQ(rename(nullptr, &to), KS_HELD);
    EXPECT_EQ(rename(&to, &from), KS_E_GRANT);
    EXPECT_EQ(folder.peek("a") + folder.peek("b"), "onetwo");
    ASSERT_EQ(rename(&from, &to), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("a") + folder.peek("b"), "(none)one");
    EXPECT_EQ(others.put("b", "three"), KS_HELD);  // they still stand
}

TEST(FilesOpen, FaultsAreTyped) {
    ks_files* files = nullptr;
    EXPECT_EQ(ks_files_open("/dev/shm/keystile-no-such-folder", nullptr, &files), KS_E_PATH);
    EXPECT_EQ(ks_files_open("/proc/self/status", nullptr, &files), KS_E_PATH);
    EXPECT_EQ(ks_files_open(nullptr, nullptr, &files), KS_E_ARGUMENT);
    ks_files_options options{};
    EXPECT_EQ(ks_files_open("/dev/shm", &options, &files), KS_E_STRUCT_SIZE);
    options.struct_size = sizeof options;
    options.flags = 1;
    EXPECT_EQ(ks_files_open("/dev/shm", &options, &files), KS_E_ARGUMENT);
    EXPECT_EQ(ks_files_read(nullptr, "f", nullptr, 0, nullptr, nullptr), KS_E_ARGUMENT);
    ks_files_close(nullptr);
    const Folder folder;
    ASSERT_EQ(ks_files_open(folder.path().c_str(), nullptr, &files), KS_OK);
    EXPECT_NE(ks_files_store(files), nullptr);
    ks_files_close(files);
    EXPECT_EQ(ks_files_read(files, "f", nullptr, 0, nullptr, nullptr), KS_E_HANDLE);
    EXPECT_EQ(ks_files_store(files), nullptr);
    ks_files_close(files);
}

TEST(FilesOpen, AStoreOfItsOwnUrl) {
    const Folder folder;
    const std::string url = "shm:files-test-" + std::to_string(::getpid());
    ks_files_options options{};
    options.struct_size = sizeof options;
    options.store_url = url.c_str();
    ks_files* files = nullptr;
    ASSERT_EQ(ks_files_open(folder.path().c_str(), &options, &files), KS_OK) << ks_last_error();
    ks_receipt receipt{};
    EXPECT_EQ(ks_files_write(files, "f", bytes_in("x"), {}, nullptr, &receipt), KS_OK);
    EXPECT_EQ(ks_files_write(files, "f", bytes_in("y"), receipt.stamp, nullptr, &receipt), KS_OK);
    EXPECT_EQ(folder.peek("f"), "y");
    ks_files_close(files);
    EXPECT_EQ(ks_destroy(url.c_str(), 0), KS_OK);
}

// A file need not be in the store to be read: who only looks is not stopped by a store that has no room for it.
TEST(FilesOpen, WhatHasNoRoomInTheStoreIsReadAsItIs) {
    const Folder folder;
    const std::string url = "shm:files-full-" + std::to_string(::getpid());
    ks_open_options small{};
    small.struct_size = sizeof small;
    small.max_bytes = 32u << 20;
    ks_store* store = nullptr;
    ASSERT_EQ(ks_open(url.c_str(), &small, &store), KS_OK) << ks_last_error();
    ks_files_options options{};
    options.struct_size = sizeof options;
    options.store_url = url.c_str();
    ks_files* files = nullptr;
    ASSERT_EQ(ks_files_open(folder.path().c_str(), &options, &files), KS_OK) << ks_last_error();
    std::string content(KS_FILES_SIZE_MAX, 'x');
    int untracked = 0;
    for (const char* path : {"a", "b"}) {  // the second one has no room beside the first
        folder.poke(path, "");
        std::filesystem::resize_file(folder.at(path), content.size());
        std::size_t size = 0;
        ks_stamp seen{};
        EXPECT_EQ(ks_files_read(files, path, content.data(), content.size(), &size, &seen), KS_OK)
            << ks_last_error();
        EXPECT_EQ(size, content.size());
        if (seen.version != 0) continue;
        ++untracked;
        EXPECT_EQ(ks_files_write(files, path, bytes_in("y"), seen, nullptr, nullptr), KS_FOREIGN_EDIT);
    }
    EXPECT_GT(untracked, 0);
    ks_files_close(files);
    ks_close(store);
    EXPECT_EQ(ks_destroy(url.c_str(), 0), KS_OK);
}

TEST(FilesOpen, OpenedAgainEverythingIsThere) {
    const Folder folder;
    ks_stamp stamp{};
    {
        const Files files(folder);
        ASSERT_EQ(files.put("f", "one"), KS_OK);
        stamp = files.stamp("f");
    }
    const Files files(folder);
    EXPECT_EQ(files.write("f", "two", stamp), KS_OK);
    EXPECT_EQ(files.read("f").data, "two");
}

TEST(FilesOpen, AValueThatIsNoFilesIsCorrupt) {
    const Folder folder;
    const Files files(folder);
    ks_session* const session = ks_default_session(ks_files_store(files.get()));
    ASSERT_EQ(ks_commit(session, bytes_in("files/f"), {}, bytes_in("junk"), nullptr, nullptr), KS_OK);
    EXPECT_EQ(files.read("f").status, KS_E_CORRUPT);
    EXPECT_EQ(files.write("f", "x", {}), KS_E_CORRUPT);
    std::string value(200, '\0');
    ASSERT_EQ(files.put("g", "x"), KS_OK);
    std::size_t size = 0;
    ks_stamp seen{};
    ASSERT_EQ(ks_get(session, bytes_in("files/g"), value.data(), value.size(), &size, &seen), KS_OK);
    ks_bytes data{};
    EXPECT_EQ(ks_files_parse({value.data(), size}, &data, nullptr), KS_OK);
    EXPECT_EQ(std::string(static_cast<const char*>(data.data), data.size), "x");
    value[size - 1] = 'y';  // not what its hash says
    ASSERT_EQ(ks_commit(session, bytes_in("files/g"), seen, {value.data(), size}, nullptr, nullptr), KS_OK);
    EXPECT_EQ(files.read("g").status, KS_E_CORRUPT);
    EXPECT_EQ(ks_files_parse({value.data(), size}, &data, nullptr), KS_E_CORRUPT);
    EXPECT_EQ(ks_files_parse({value.data(), 3}, &data, nullptr), KS_E_CORRUPT);
    EXPECT_EQ(folder.peek("g"), "x");
}

}  // namespace
}  // namespace keystile::testing
