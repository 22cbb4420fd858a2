// Paths lead to regular files below the root, or nowhere.
#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include "plain/plain_support.hpp"
#include "support/child.hpp"

namespace keystile::testing {
namespace {

using ::testing::ElementsAre;

TEST(FilesPath, WhatLeavesTheRootIsRefused) {
    const Folder folder;
    const Folder outside;
    const Files files(folder);
    outside.poke("secret", "s");
    std::filesystem::create_directory(folder.at("d"));
    ASSERT_EQ(::symlink(outside.path().c_str(), folder.at("out").c_str()), 0);
    ASSERT_EQ(::symlink(outside.at("secret").c_str(), folder.at("leaf").c_str()), 0);
    ASSERT_EQ(::symlink("d", folder.at("inside").c_str()), 0);
    ASSERT_EQ(::mkfifo(folder.at("pipe").c_str(), 0600), 0);
    folder.poke("file", "f");
    const std::string bad[] = {"",
                               "/",
                               "/etc/passwd",
                               "..",
                               "../x",
                               "d/../../x",
                               "d/..",
                               ".",
                               "d/",
                               "d",
                               "out/secret",
                               "out/new",
                               "leaf",
                               "inside/x",
                               "pipe",
                               ".keystile/lock",
                               ".keystile",
                               "d/.keystile/lock",
                               "file/x",
                               std::string(256, 'n'),
                               std::string(500, 'a') + "/" + std::string(500, 'b')};
    for (const std::string& path : bad) {
        EXPECT_EQ(files.read(path).status, KS_E_PATH) << path;
        EXPECT_EQ(files.write(path, "x", {}), KS_E_PATH) << path;
        EXPECT_EQ(files.adopt(path), KS_E_PATH) << path;
    }
    std::string longest;
    while (longest.size() + 251 <= KS_FILES_PATH_MAX)
        longest += std::string(longest.empty() ? 250 : 249, 'p') + "/";
    longest += std::string(KS_FILES_PATH_MAX - longest.size(), 'q');
    EXPECT_EQ(files.put(longest, "x"), KS_OK) << ks_last_error();
    EXPECT_EQ(files.write(longest + "q", "x", {}), KS_E_PATH);
    EXPECT_EQ(outside.peek("secret"), "s");
    EXPECT_FALSE(std::filesystem::exists(outside.at("new")));
    EXPECT_EQ(files.read("never").stamp.version, 0u);
}

// What is no file, in our file's place, is an edit; a link can be restored over, a folder has to go first.
TEST(FilesPath, WhatIsNoFileWhereAFileWasIsAnEdit) {
    const Folder folder;
    const Files files(folder);
    for (const bool is_link : {false, true}) {
        ASSERT_EQ(files.put("f", "one"), KS_OK);
        const ks_stamp seen = files.stamp("f");
        std::filesystem::remove(folder.at("f"));
        if (is_link) {
            std::filesystem::create_symlink("elsewhere", folder.at("f"));
        } else {
            std::filesystem::create_directory(folder.at("f"));
        }
        EXPECT_EQ(files.read("f").status, KS_FOREIGN_EDIT);
        EXPECT_EQ(files.write("f", "two", seen), KS_FOREIGN_EDIT);
        EXPECT_EQ(files.remove("f"), KS_FOREIGN_EDIT);
        EXPECT_THAT(files.status(), ElementsAre("f:edited"));
        EXPECT_EQ(files.restore("f"), is_link ? KS_OK : KS_E_PATH) << ks_last_error();
        if (!is_link) std::filesystem::remove(folder.at("f"));
        EXPECT_EQ(files.restore("f"), KS_OK);
        EXPECT_EQ(folder.peek("f"), "one");
        EXPECT_EQ(files.read("f").data, "one");
    }
    std::filesystem::create_directory(folder.at("d"));
    EXPECT_EQ(files.read("d").status, KS_E_PATH);  // where no file of ours was
    EXPECT_EQ(files.write("d", "x", {}), KS_E_PATH);
}

// A link is swapped in for the folder and out again, all the time: a write lands in the folder, or is refused.
TEST(FilesPath, ALinkThatIsSwappedInLeadsNowhere) {
    const Folder folder;
    const Folder outside;
    std::filesystem::create_directory(folder.at("d"));
    ASSERT_EQ(::symlink(outside.path().c_str(), folder.at("link").c_str()), 0);
    Child swapper([&](const Child::Line&) {
        for (;;)
            (void)::renameat2(AT_FDCWD, folder.at("d").c_str(), AT_FDCWD, folder.at("link").c_str(),
                              RENAME_EXCHANGE);
        return 0;
    });
    const Files files(folder);
    int refused = 0, done = 0;
    for (int i = 0; (refused < 20 || done < 20) && i < 100'000; ++i) {
        const std::string path = "d/f" + std::to_string(i % 50);
        const Got got = files.read(path);
        ASSERT_TRUE(got.status == KS_OK || got.status == KS_NOT_FOUND || got.status == KS_E_PATH ||
                    got.status == KS_FOREIGN_EDIT || got.status == KS_BUSY)
            << ks_last_error();
        if (got.status == KS_FOREIGN_EDIT) continue;
        const ks_status s = got.status == KS_E_PATH ? got.status : files.write(path, "x", got.stamp);
        s == KS_OK ? ++done : ++refused;
    }
    (void)swapper.kill();
    EXPECT_GE(done, 20);
    EXPECT_GE(refused, 20);
    EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

TEST(FilesPath, AForkedChildIsToldToOpenAgain) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    EXPECT_EQ(run_in_child([&] {
                  if (ks_files_read(files.get(), "f", nullptr, 0, nullptr, nullptr) != KS_E_FORKED) return 1;
                  const Files own(folder);
                  return own.read("f").data == "one" && own.put("f", "two") == KS_OK ? 0 : 2;
              }),
              0);
    EXPECT_EQ(files.read("f").data, "two");
}

}  // namespace
}  // namespace keystile::testing
