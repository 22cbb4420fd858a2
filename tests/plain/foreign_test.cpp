// Other programs write the files too.
#include <sys/stat.h>

#include <algorithm>

#include "plain/plain_support.hpp"
#include "support/child.hpp"

namespace keystile::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(FilesForeign, AnEditIsSeenOnReadAndOnWrite) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp seen = files.stamp("f");
    folder.poke("f", "uno");  // as long as ours was
    const Got got = files.read("f");
    EXPECT_EQ(got.status, KS_FOREIGN_EDIT);
    EXPECT_EQ(got.stamp.version, seen.version);
    ks_receipt receipt{};
    EXPECT_EQ(files.write("f", "two", seen, nullptr, &receipt), KS_FOREIGN_EDIT);
    EXPECT_EQ(receipt.stamp.version, seen.version);
    EXPECT_EQ(ks_files_remove(files.get(), "f", seen, nullptr, nullptr), KS_FOREIGN_EDIT);
    EXPECT_EQ(ks_files_rename(files.get(), "f", seen, nullptr, "g", {}, nullptr, nullptr), KS_FOREIGN_EDIT);
    EXPECT_EQ(folder.peek("f"), "uno");
    EXPECT_THAT(files.status(), ElementsAre("f:edited"));
    EXPECT_EQ(files.write("f", "two", {}), KS_CONFLICT);  // who is behind is told that first
}

TEST(FilesForeign, AdoptMakesItTheNextVersion) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp seen = files.stamp("f");
    folder.poke("f", "uno");
    EXPECT_EQ(files.adopt("f"), KS_OK) << ks_last_error();
    const Got got = files.read("f");
    EXPECT_EQ(got.status, KS_OK);
    EXPECT_EQ(got.data, "uno");
    EXPECT_GT(got.stamp.version, seen.version);
    EXPECT_EQ(files.write("f", "two", seen), KS_CONFLICT);
    EXPECT_EQ(files.adopt("f"), KS_OK);  // nothing to do
    EXPECT_EQ(files.adopt("typo"), KS_NOT_FOUND);
    EXPECT_EQ(files.stamp("f").version, got.stamp.version);
    EXPECT_EQ(files.write("f", "two", got.stamp), KS_OK);
    EXPECT_EQ(folder.peek("f"), "two");
}

TEST(FilesForeign, RestorePutsOursBack) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    const ks_stamp seen = files.stamp("f");
    folder.poke("f", "uno");
    EXPECT_EQ(files.restore("f"), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("f"), "one");
    EXPECT_EQ(files.stamp("f").version, seen.version);
    EXPECT_EQ(files.restore("never"), KS_NOT_FOUND);
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

// Who closed a file to others did not mean that an edit of it opens it again.
TEST(FilesForeign, RestoreKeepsTheModeThatIsThere) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    ASSERT_EQ(::chmod(folder.at("f").c_str(), 0600), 0);
    folder.poke("f", "uno");
    EXPECT_EQ(files.restore("f"), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("f"), "one");
    struct stat info;
    ASSERT_EQ(::stat(folder.at("f").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777u, 0600u);
}

TEST(FilesForeign, ARemovalIsAnEdit) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a", "one"), KS_OK);
    ASSERT_EQ(files.put("b", "one"), KS_OK);
    std::filesystem::remove(folder.at("a"));
    std::filesystem::remove(folder.at("b"));
    EXPECT_EQ(files.read("a").status, KS_FOREIGN_EDIT);
    EXPECT_EQ(files.put("a", "two"), KS_FOREIGN_EDIT);
    EXPECT_THAT(files.status(), ElementsAre("a:missing", "b:missing"));
    EXPECT_EQ(files.adopt("a"), KS_OK);
    EXPECT_EQ(files.read("a").status, KS_NOT_FOUND);
    EXPECT_EQ(files.restore("b"), KS_OK);
    EXPECT_EQ(folder.peek("b"), "one");
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("a:deleted", "b:clean"));
}

// Not even one that brings back what we had: that version has landed, so the disk was not on its way.
TEST(FilesForeign, AnOlderContentOfOursIsAnEditToo) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    ASSERT_EQ(files.put("f", "two"), KS_OK);
    folder.poke("f", "one");
    EXPECT_EQ(files.read("f").status, KS_FOREIGN_EDIT);
    EXPECT_EQ(files.put("f", "three"), KS_FOREIGN_EDIT);
    EXPECT_EQ(folder.peek("f"), "one");
    folder.poke("f", "two");
    EXPECT_EQ(files.read("f").status, KS_OK);
}

TEST(FilesForeign, AnUnknownFileIsAdoptedByReading) {
    const Folder folder;
    const Files files(folder);
    folder.poke("f", "old");
    EXPECT_THAT(files.status(), IsEmpty());
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("f:untracked"));
    EXPECT_EQ(files.write("f", "blind", {}), KS_FOREIGN_EDIT);  // nobody has seen it yet
    const Got got = files.read("f");
    EXPECT_EQ(got.status, KS_OK);
    EXPECT_EQ(got.data, "old");
    EXPECT_GT(got.stamp.version, 0u);
    folder.poke("f", "edited");
    EXPECT_EQ(files.write("f", "new", got.stamp), KS_FOREIGN_EDIT);
    EXPECT_EQ(folder.peek("f"), "edited");
    EXPECT_EQ(files.adopt("f"), KS_OK);
    EXPECT_EQ(files.put("f", "new"), KS_OK);
}

TEST(FilesForeign, AFileWhereOursWasDeletedIsAdoptedByReading) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    ASSERT_EQ(files.remove("f"), KS_OK);
    const ks_stamp gone = files.stamp("f");
    folder.poke("f", "again");
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("f:untracked"));
    EXPECT_EQ(files.write("f", "two", gone), KS_FOREIGN_EDIT);
    EXPECT_EQ(files.restore("f"), KS_NOT_FOUND);
    EXPECT_EQ(files.read("f").data, "again");
    EXPECT_EQ(files.write("f", "two", gone), KS_CONFLICT);
}

TEST(FilesForeign, AnUnknownFileUnderAnothersClaimIsRead) {
    const Folder folder;
    const Files files(folder);
    const Files others(folder);
    ks_grant grant{};
    ASSERT_EQ(ks_files_claim(others.get(), "f", nullptr, &grant, nullptr), KS_OK);
    folder.poke("f", "old");
    const Got got = files.read("f");
    EXPECT_EQ(got.status, KS_OK);
    EXPECT_EQ(got.data, "old");
    EXPECT_EQ(got.stamp.version, 0u);
    EXPECT_EQ(files.adopt("f"), KS_HELD);
    EXPECT_EQ(ks_files_adopt(others.get(), "f", &grant, nullptr), KS_OK) << ks_last_error();
    EXPECT_GT(files.stamp("f").version, 0u);
}

TEST(FilesForeign, AFileTooLargeIsTold) {
    const Folder folder;
    const Files files(folder);
    folder.poke("f", "");
    std::filesystem::resize_file(folder.at("f"), KS_FILES_SIZE_MAX + 1ull);
    EXPECT_EQ(files.read("f").status, KS_E_VALUE_SIZE);
    EXPECT_EQ(files.adopt("f"), KS_E_VALUE_SIZE);
    EXPECT_EQ(files.write("f", "x", {}), KS_FOREIGN_EDIT);
    ASSERT_EQ(files.put("g", "x"), KS_OK);
    std::filesystem::resize_file(folder.at("g"), KS_FILES_SIZE_MAX + 1ull);
    EXPECT_EQ(files.read("g").status, KS_FOREIGN_EDIT);
    EXPECT_EQ(files.restore("g"), KS_OK);
    EXPECT_EQ(folder.peek("g"), "x");
}

TEST(FilesStatus, SaysWhatStandsWhere) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a/one", "1"), KS_OK);
    ASSERT_EQ(files.put("ab", "2"), KS_OK);
    folder.poke("a/two", "22");
    ASSERT_EQ(::symlink("ab", folder.at("link").c_str()), 0);
    EXPECT_THAT(files.status(), ElementsAre("a/one:clean", "ab:clean"));
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("a/one:clean", "a/two:untracked", "ab:clean"));
    EXPECT_THAT(files.status(KS_FILES_ALL, "a"), ElementsAre("a/one:clean", "a/two:untracked"));
    EXPECT_THAT(files.status(KS_FILES_ALL, "a/two"), ElementsAre("a/two:untracked"));
    ks_grant grant{};
    ASSERT_EQ(ks_files_claim(files.get(), "ab", nullptr, &grant, nullptr), KS_OK);
    const auto judge = [](void* user, const ks_files_entry* entry) {
        EXPECT_STREQ(entry->path, "ab");
        EXPECT_EQ(entry->size, 1u);
        EXPECT_EQ(entry->is_claimed, 1u);
        EXPECT_EQ(entry->owner.pid, ::getpid());
        ++*static_cast<int*>(user);
        return 0;
    };
    int seen = 0;
    EXPECT_EQ(ks_files_status(files.get(), "ab", 0, judge, &seen), KS_OK);
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(ks_files_status(files.get(), "../x", 0, judge, &seen), KS_E_PATH);
    EXPECT_EQ(ks_files_status(files.get(), "", 8, judge, &seen), KS_E_ARGUMENT);
}

TEST(FilesStatus, OfOneLevelReadsNothingDeeper) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a/deep/one", "1"), KS_OK);
    ASSERT_EQ(files.put("b", "2"), KS_OK);
    ASSERT_EQ(files.put("gone", "3"), KS_OK);
    ASSERT_EQ(files.remove("gone"), KS_OK);
    folder.poke("new", "44");
    std::filesystem::create_directory(folder.at("empty"));
    ASSERT_EQ(::symlink("b", folder.at("link").c_str()), 0);
    const std::uint32_t level = KS_FILES_LEVEL, all = KS_FILES_LEVEL | KS_FILES_ALL;
    EXPECT_THAT(files.status(level), ElementsAre("a:folder", "b:clean"));
    EXPECT_THAT(files.status(all),
                ElementsAre("a:folder", "b:clean", "empty:folder", "gone:deleted", "new:untracked"));
    EXPECT_THAT(files.status(all, "a/"), ElementsAre("a/deep:folder"));
    EXPECT_THAT(files.status(level, "a/deep"), ElementsAre("a/deep/one:clean"));
    for (const char* nothing : {"b", "empty", "gone", "none", "link"})
        EXPECT_THAT(files.status(all, nothing), IsEmpty()) << nothing;
    const auto judge = [](void*, const ks_files_entry* entry) {
        const auto is_zero = [](std::uint8_t byte) { return byte == 0; };
        EXPECT_EQ(entry->size, 2u);
        EXPECT_EQ(entry->mode, 0644u);
        EXPECT_TRUE(std::all_of(std::begin(entry->hash), std::end(entry->hash), is_zero));
        return 0;
    };
    std::filesystem::create_directory(folder.at("flat"));
    folder.poke("flat/new", "44");
    std::filesystem::permissions(folder.at("flat/new"), std::filesystem::perms{0644});
    EXPECT_EQ(ks_files_status(files.get(), "flat", all, judge, nullptr), KS_OK);
}

TEST(FilesStatus, OfOneLevelTellsAFolderWhereAFileWas) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("x", "1"), KS_OK);
    ASSERT_EQ(files.remove("x"), KS_OK);
    ASSERT_EQ(files.put("x/y", "2"), KS_OK);
    ASSERT_EQ(files.put("module", "code"), KS_OK);
    std::filesystem::remove(folder.at("module"));
    std::filesystem::create_directory(folder.at("module"));
    folder.poke("module/init", "");
    const std::uint32_t level = KS_FILES_LEVEL, all = KS_FILES_LEVEL | KS_FILES_ALL;
    EXPECT_THAT(files.status(all), ElementsAre("module:folder", "x:folder"));
    EXPECT_THAT(files.status(level),
                ElementsAre("module:edited", "x:folder"));  // it does not ask the disk for others
    std::filesystem::remove_all(folder.at("x"));            // what should be in it is missing
    EXPECT_THAT(files.status(all), ElementsAre("module:folder", "x:folder"));
    EXPECT_THAT(files.status(all, "x"), ElementsAre("x/y:missing"));
    folder.poke("x", "a file again");
    EXPECT_THAT(files.status(all), ElementsAre("module:folder", "x:untracked"));
}

// Who may write the store may write anything; it spoils that path alone.
TEST(FilesForeign, KeysThatAreNoFilesSpoilNoOther) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("f", "one"), KS_OK);
    ks_session* const session = ks_default_session(ks_files_store(files.get()));
    for (const char* key : {"files/notours", "files/a//b", "files/src/"}) {
        ASSERT_EQ(ks_commit(session, bytes_in(key), {}, bytes_in("hello"), nullptr, nullptr), KS_OK);
    }
    ks_grant grant{};
    ASSERT_EQ(ks_claim(session, bytes_in("files/claimed/"), nullptr, &grant, nullptr), KS_OK);
    EXPECT_THAT(files.status(KS_FILES_ALL), ElementsAre("f:clean"));
    EXPECT_EQ(files.read("notours").status, KS_E_CORRUPT);
    const Files again(folder);
    EXPECT_EQ(again.put("f", "two"), KS_OK);
    EXPECT_EQ(again.read("f").data, "two");
}

TEST(FilesForeign, AFileThatMayNotBeReadIsListed) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can make another's file";
    const Folder folder;
    folder.poke("secret", "root's");
    ASSERT_EQ(::chmod(folder.at("secret").c_str(), 0600), 0);
    ASSERT_EQ(::chmod(folder.path().c_str(), 0777), 0);
    EXPECT_EQ(run_in_child([&] {
                  if (::setresuid(65534, 65534, 65534) != 0) return 1;
                  const Files files(folder);
                  if (files.put("f", "one") != KS_OK) return 2;
                  const std::vector<std::string> listed = files.status(KS_FILES_ALL);
                  return listed == std::vector<std::string>{"f:clean", "secret:untracked"} ? 0 : 3;
              }),
              0);
}

}  // namespace
}  // namespace keystile::testing
