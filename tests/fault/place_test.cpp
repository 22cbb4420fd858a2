// Where a store may lie and where not: other users, read-only file systems, ordinary disks, folders that go
// away.
#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "fault/fault_support.hpp"

namespace keystile::testing {

namespace {

constexpr uid_t kNobody = 65534;

bool become_nobody() {
    return ::setgroups(0, nullptr) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0;
}

// A folder of the test's own on whatever file system temporary files lie.
class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "keystile-fault-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code gone;
        std::filesystem::remove_all(path_, gone);
    }
    const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

TEST(Disk, IsAPlaceForASegmentAsWell) {
    const Folder folder;
    {
        const Lane lane(url_in(folder.path()));
        ASSERT_EQ(lane.status, KS_OK) << ks_last_error();
        ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
        EXPECT_EQ(in_child([&] {
                      const Lane other(url_in(folder.path()));
                      CHILD_CHECK(get(other.session, "k") == "v");
                      CHILD_CHECK(claim(other.session, "k") == KS_OK);
                      return 0;  // dies with the claim
                  }),
                  0);
        EXPECT_EQ(claim(lane.session, "k"), KS_OK);
    }
    EXPECT_EQ(scan(url_in(folder.path())), "");
    EXPECT_EQ(ks_destroy(url_in(folder.path()).c_str(), 0), KS_OK);
}

TEST(Folder, ThatIsNotThereIsNoStore) {
    ks_store* store = nullptr;
    EXPECT_EQ(open_small("shm:/no/such/folder/fault", 0, &store), KS_E_NO_STORE);
    EXPECT_EQ(open_small("shm:/no/such/folder/fault", KS_OPEN_READ_ONLY, &store), KS_E_NO_STORE);
    EXPECT_EQ(ks_destroy("shm:/no/such/folder/fault", 0), KS_E_NO_STORE);
}

TEST(Folder, ThatIsAFileIsAFault) {
    const Folder folder;
    const std::string file = folder.path() + "/file";
    std::fclose(std::fopen(file.c_str(), "w"));
    ks_store* store = nullptr;
    EXPECT_LT(open_small(url_in(file), 0, &store), 0);
    EXPECT_LT(ks_destroy(url_in(file).c_str(), KS_DESTROY_FORCE), 0);
    EXPECT_TRUE(std::filesystem::exists(file));
}

// The memory is there as long as somebody has it open; the name is not.
TEST(Folder, DeletedUnderAnOpenStoreHarmsNobody) {
    const Folder folder;
    const Lane lane(url_in(folder.path()));
    ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
    std::filesystem::remove_all(folder.path());
    EXPECT_EQ(get(lane.session, "k"), "v");
    EXPECT_EQ(put(lane.session, "k", std::string(100'000, 'x')), KS_OK);  // it even grows
    EXPECT_EQ(claim(lane.session, "k"), KS_OK);
    EXPECT_EQ(ks_check(lane.store, nullptr, nullptr, nullptr), KS_OK);
    const Lane late(url_in(folder.path()));
    EXPECT_EQ(late.status, KS_E_NO_STORE);
}

TEST(OtherUser, CannotOpenOrDestroyWhatIsNotHis) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const TestStore place;
    const Lane lane(place.url());
    ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
    EXPECT_EQ(in_child([&] {
                  CHILD_CHECK(become_nobody());
                  for (const std::uint32_t flags : {0u, KS_OPEN_MUST_EXIST, KS_OPEN_READ_ONLY}) {
                      ks_store* store = nullptr;
                      CHILD_CHECK(open_small(place.url(), flags, &store) == KS_E_PERMISSION);
                      CHILD_CHECK(ks_last_errno() == EACCES);
                  }
                  for (const std::uint32_t flags : {0u, KS_DESTROY_FORCE}) {
                      CHILD_CHECK(ks_destroy(place.url().c_str(), flags) == KS_E_PERMISSION);
                  }
                  return 0;
              }),
              0);
    EXPECT_EQ(get(lane.session, "k"), "v");
}

TEST(OtherUser, CannotCreateWhereHeMayNotWrite) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    const Folder folder;  // 0700
    EXPECT_EQ(in_child([&] {
                  CHILD_CHECK(become_nobody());
                  ks_store* store = nullptr;
                  CHILD_CHECK(open_small(url_in(folder.path()), 0, &store) == KS_E_PERMISSION);
                  return 0;
              }),
              0);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(ReadOnlyFileSystem, IsReadAndNotWritten) {
    EXPECT_PASSED(in_tmpfs("size=16m", [] {
        {
            const Lane lane(url_in(kMount));
            CHILD_CHECK(put(lane.session, "k", "v") == KS_OK);
        }
        if (::mount(nullptr, kMount, nullptr, MS_REMOUNT | MS_RDONLY, "size=16m") != 0) return kSkipped;
        ks_store* store = nullptr;
        CHILD_CHECK(open_small(url_in(kMount), 0, &store) == KS_E_PERMISSION);
        CHILD_CHECK(ks_last_errno() == EROFS);
        CHILD_CHECK(open_small("shm:/mnt/another", 0, &store) == KS_E_PERMISSION);
        CHILD_CHECK(ks_destroy(url_in(kMount).c_str(), KS_DESTROY_FORCE) == KS_E_PERMISSION);
        const Lane reader(url_in(kMount), KS_OPEN_READ_ONLY);
        CHILD_CHECK(reader.status == KS_OK);
        CHILD_CHECK(get(reader.session, "k") == "v");
        CHILD_CHECK(put(reader.session, "k", "w") == KS_E_READ_ONLY);
        CHILD_CHECK(ks_check(reader.store, nullptr, nullptr, nullptr) == KS_OK);
        return 0;
    }));
}

}  // namespace

}  // namespace keystile::testing
