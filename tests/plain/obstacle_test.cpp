// Something that is no file stands where a file of ours was, or where its folder was.
//
// Property: it is told as an edit, somebody can settle it, nothing of another program's is removed, no link followed.
#include <sys/stat.h>

#include <csignal>

#include "plain/plain_support.hpp"
#include "support/child.hpp"
#include "support/points.hpp"

namespace keystile::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// How another program changes the folder "a" of our file "a/b", and what a message calls it.
struct Change {
    const char* name;
    void (*make)(const Folder& folder);
    friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};

const Change kChanges[] = {
    {"file",
     [](const Folder& folder) {
         std::filesystem::remove_all(folder.at("a"));
         folder.poke("a", "theirs");
     }},
    {"link",
     [](const Folder& folder) {
         std::filesystem::rename(folder.at("a"), folder.at("real"));
         std::filesystem::create_directory_symlink("real", folder.at("a"));
     }},
};

class FilesObstacle : public ::testing::TestWithParam<Change> {};

TEST_P(FilesObstacle, WhereTheFolderWasTheFileIsMissing) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a/b", "one"), KS_OK);
    const ks_stamp seen = files.stamp("a/b");
    GetParam().make(folder);
    EXPECT_EQ(files.read("a/b").status, KS_FOREIGN_EDIT) << ks_last_error();
    EXPECT_EQ(files.stamp("a/b").version, seen.version);
    EXPECT_EQ(files.write("a/b", "two", seen), KS_FOREIGN_EDIT);
    EXPECT_EQ(files.remove("a/b"), KS_FOREIGN_EDIT);
    EXPECT_THAT(files.status(), ElementsAre("a/b:missing"));

    ks_receipt receipt{};
    EXPECT_EQ(ks_files_restore(files.get(), "a/b", &receipt), KS_E_PATH);
    EXPECT_EQ(receipt.stamp.version, 0u);
    EXPECT_THAT(ks_last_error(), HasSubstr("'a'"));
    EXPECT_THAT(ks_last_error(), HasSubstr(GetParam().name));

    EXPECT_EQ(ks_files_adopt(files.get(), "a/b", nullptr, &receipt), KS_OK) << ks_last_error();
    EXPECT_GT(receipt.stamp.version, seen.version);
    EXPECT_EQ(files.read("a/b").status, KS_E_PATH);
    EXPECT_EQ(files.stamp("a/b").version, receipt.stamp.version);
    EXPECT_EQ(files.adopt("a/b"), KS_OK);
    EXPECT_EQ(files.stamp("a/b").version, receipt.stamp.version);
    EXPECT_EQ(files.write("a/b", "two", receipt.stamp), KS_E_PATH);
    EXPECT_EQ(files.stamp("a/b").version, receipt.stamp.version);
    EXPECT_THAT(files.status(0, "a/b"), IsEmpty());

    std::filesystem::remove(folder.at("a"));
    EXPECT_EQ(files.write("a/b", "two", receipt.stamp), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("a/b"), "two");
    EXPECT_EQ(folder.peek("real/b"), GetParam().name == std::string("link") ? "one" : "(none)");
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

// What was committed only when its writer died, and has no place any more.
TEST_P(FilesObstacle, WhatIsOnItsWayThereIsSettledToo) {
    const Folder folder;
    const Files files(folder);
    std::filesystem::create_directory(folder.at("a"));
    ASSERT_EQ(run_in_child([&] {
                  const Files own(folder);
                  arm({{"files.write.after_commit", 1, SIGKILL}});
                  return own.put("a/b", "one");
              }),
              128 + SIGKILL);
    GetParam().make(folder);
    EXPECT_EQ(files.read("a/b").status, KS_FOREIGN_EDIT);
    EXPECT_THAT(files.status(), ElementsAre("a/b:missing"));
    EXPECT_EQ(files.restore("a/b"), KS_E_PATH);
    EXPECT_EQ(files.adopt("a/b"), KS_OK) << ks_last_error();
    EXPECT_THAT(files.status(), IsEmpty());
    const Files again(folder);
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Changes, FilesObstacle, ::testing::ValuesIn(kChanges),
                         [](const auto& change) { return change.param.name; });

TEST(FilesObstacle, AFolderInItsPlaceIsAdoptedAsADeletion) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("mod", "one"), KS_OK);
    const ks_stamp seen = files.stamp("mod");
    std::filesystem::remove(folder.at("mod"));
    std::filesystem::create_directory(folder.at("mod"));
    folder.poke("mod/init", "theirs");
    ks_receipt receipt{};
    EXPECT_EQ(ks_files_restore(files.get(), "mod", &receipt), KS_E_PATH);
    EXPECT_EQ(receipt.stamp.version, 0u);
    EXPECT_THAT(ks_last_error(), HasSubstr("folder"));
    EXPECT_EQ(folder.peek("mod/init"), "theirs");
    EXPECT_THAT(folder.tickets(), IsEmpty());

    ASSERT_EQ(ks_files_adopt(files.get(), "mod", nullptr, &receipt), KS_OK) << ks_last_error();
    EXPECT_GT(receipt.stamp.version, seen.version);
    EXPECT_EQ(files.read("mod").status, KS_E_PATH);
    EXPECT_THAT(ks_last_error(), HasSubstr("folder"));
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("mod:deleted", "mod/init:untracked"));
    EXPECT_THAT(files.status(KS_FILES_ALL, "mod"), ElementsAre("mod:deleted", "mod/init:untracked"));
    EXPECT_EQ(ks_files_remove(files.get(), "mod", receipt.stamp, nullptr, nullptr), KS_NOT_FOUND);
    EXPECT_EQ(files.write("mod", "two", receipt.stamp), KS_E_PATH);
    EXPECT_EQ(files.restore("mod"), KS_NOT_FOUND);
    EXPECT_EQ(files.put("mod/init", "ours"), KS_OK);
    EXPECT_EQ(folder.peek("mod/init"), "ours");
}

TEST(FilesObstacle, ALinkInItsPlaceIsAdoptedAsADeletionAndStays) {
    const Folder folder;
    const Files files(folder);
    folder.poke("target", "theirs");
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    std::filesystem::remove(folder.at("f"));
    std::filesystem::create_symlink("target", folder.at("f"));
    EXPECT_EQ(files.adopt("f"), KS_OK) << ks_last_error();
    EXPECT_EQ(files.read("f").status, KS_E_PATH);
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("f:deleted", "target:untracked"));
    const Files again(folder);
    EXPECT_TRUE(std::filesystem::is_symlink(folder.at("f")));
    EXPECT_EQ(folder.peek("target"), "theirs");
}

// The deletion is committed only, and the file became a folder before it was carried out.
TEST(FilesObstacle, ADeletionTakesNoFolderAway) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    ASSERT_EQ(run_in_child([&] {
                  const Files own(folder);
                  arm({{"files.write.after_commit", 1, SIGKILL}});
                  return own.remove("f");
              }),
              128 + SIGKILL);
    std::filesystem::remove(folder.at("f"));
    std::filesystem::create_directory(folder.at("f"));
    EXPECT_EQ(files.read("f").status, KS_E_PATH);
    EXPECT_EQ(files.adopt("f"), KS_OK) << ks_last_error();
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("f:deleted"));
    const Files again(folder);
    EXPECT_TRUE(std::filesystem::is_directory(folder.at("f")));
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

// In one step it is refused: until the file is gone there is no place for the other.
TEST(FilesObstacle, AFileGivesWayToAFolderInTwoSteps) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a", "one"), KS_OK);
    ks_files_change changes[2]{};
    changes[0].path = "a";
    changes[0].flags = KS_FILES_REMOVE;
    changes[0].seen = files.stamp("a");
    changes[1].path = "a/b";
    changes[1].data = bytes_in("two");
    EXPECT_EQ(ks_files_publish(files.get(), changes, 2, nullptr), KS_E_PATH);
    EXPECT_THAT(ks_last_error(), HasSubstr("'a'"));
    EXPECT_EQ(changes[0].stamp.version, 0u);
    EXPECT_EQ(files.read("a").data, "one");
    EXPECT_EQ(files.remove("a"), KS_OK);
    EXPECT_EQ(files.put("a/b", "two"), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("a/b"), "two");
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("a:deleted", "a/b:clean"));
}

}  // namespace
}  // namespace keystile::testing
