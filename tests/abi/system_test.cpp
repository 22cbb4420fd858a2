// What the system says no to, and what processes of one host may differ in: users, space, namespaces, descriptors.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>
#include <vector>

#include "abi_support.hpp"

namespace {

using abi_test::FreshUrl;
using abi_test::in_child;
using abi_test::kSkipped;
using abi_test::Lane;

constexpr uid_t kNobody = 65534;

#define SKIP_UNLESS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "needs root"

mode_t mode_of(const std::string& path) {
    struct stat facts{};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_mode & 07777 : 0;
}

bool become(uid_t user, gid_t group) {
    return ::setgroups(0, nullptr) == 0 && ::setgid(group) == 0 && ::setuid(user) == 0;
}

// ---- Users -------------------------------------------------------------------------------------------------

TEST(Permission, AStoreIsItsOwnersByDefault) {
    SKIP_UNLESS_ROOT();
    const FreshUrl fresh;
    Lane lane(fresh.url());
    EXPECT_EQ(mode_of(fresh.path()), 0600u);
    EXPECT_EQ(in_child([&] {
                  CHILD_CHECK(become(kNobody, kNobody));
                  ks_store* store = nullptr;
                  CHILD_CHECK(abi_test::open(fresh.url(), 0, &store) == KS_E_PERMISSION);
                  CHILD_CHECK(ks_last_errno() == EACCES);
                  CHILD_CHECK(abi_test::open(fresh.url(), KS_OPEN_READ_ONLY, &store) == KS_E_PERMISSION);
                  CHILD_CHECK(ks_destroy(fresh.url().c_str(), 0) == KS_E_PERMISSION);
                  CHILD_CHECK(ks_destroy(fresh.url().c_str(), KS_DESTROY_FORCE) == KS_E_PERMISSION);
                  return 0;
              }),
              0);
    EXPECT_EQ(abi_test::put(lane.session, "still", "there"), KS_OK);
}

TEST(Permission, AGroupMayShareAStore) {
    SKIP_UNLESS_ROOT();
    const FreshUrl fresh;
    ks_open_options options{};
    options.struct_size = sizeof options;
    options.flags = KS_OPEN_GROUP;
    options.group = 4242;
    ks_store* store = nullptr;
    ASSERT_EQ(ks_open(fresh.url().c_str(), &options, &store), KS_OK);
    EXPECT_EQ(mode_of(fresh.path()), 0660u);
    EXPECT_EQ(in_child([&] {
                  CHILD_CHECK(become(kNobody, 4242));
                  Lane lane(fresh.url());
                  CHILD_CHECK(lane.session != nullptr);
                  CHILD_CHECK(abi_test::put(lane.session, "from", "a member") == KS_OK);
                  return 0;
              }),
              0);
    ks_close(store);
}

TEST(Permission, AReadOnlyFileCanBeRead) {
    SKIP_UNLESS_ROOT();
    const FreshUrl fresh;
    Lane lane(fresh.url());
    ASSERT_EQ(abi_test::put(lane.session, "k", "v"), KS_OK);
    ASSERT_EQ(::chmod(fresh.path().c_str(), 0644), 0);
    EXPECT_EQ(in_child([&] {
                  CHILD_CHECK(become(kNobody, kNobody));
                  ks_store* store = nullptr;
                  CHILD_CHECK(abi_test::open(fresh.url(), 0, &store) == KS_E_PERMISSION);
                  Lane reader(fresh.url(), KS_OPEN_READ_ONLY);
                  char buf[8];
                  CHILD_CHECK(ks_get(reader.session, abi_test::bytes("k"), buf, sizeof buf, nullptr,
                                     nullptr) == KS_OK);
                  return 0;
              }),
              0);
}

// ---- Space ------------------------------------------------------------------------------------------------

// In a mount namespace of its own, so that nothing is left behind however the test ends.
template <class Fn>
int in_small_tmpfs(const char* size, Fn&& fn) {
    return in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0) return kSkipped;
        if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return kSkipped;
        if (::mount("keystile-test", "/mnt", "tmpfs", 0, size) != 0) return kSkipped;
        return fn();
    });
}

#define EXPECT_PASSED(run)                                                                \
    do {                                                                                  \
        const int passed = (run);                                                         \
        if (passed == kSkipped) GTEST_SKIP() << "no mount or namespace may be made here"; \
        EXPECT_EQ(passed, 0);                                                             \
    } while (false)

TEST(Full, AFullFileSystemIsAnAnswerAndNotTheEnd) {
    EXPECT_PASSED(in_small_tmpfs("size=8m", [] {
        Lane lane("shm:/mnt/small");
        CHILD_CHECK(lane.session != nullptr);
        const std::string value(100000, 'x');
        ks_status status = KS_OK;
        int count = 0;
        while ((status = abi_test::put(lane.session, "key " + std::to_string(count), value)) == KS_OK)
            ++count;
        CHILD_CHECK(status == KS_E_FULL);
        CHILD_CHECK(ks_last_errno() == ENOSPC);
        CHILD_CHECK(count > 10);
        char buf[8];
        size_t size = 0;
        CHILD_CHECK(ks_get(lane.session, abi_test::bytes("key 0"), buf, sizeof buf, &size, nullptr) ==
                    KS_TOO_SMALL);
        CHILD_CHECK(size == value.size());
        for (int i = 0; i < count; i += 2) {  // what is deleted makes room
            const std::string key = "key " + std::to_string(i);
            CHILD_CHECK(ks_delete(lane.session, abi_test::bytes(key), abi_test::stamp_of(lane.session, key),
                                  nullptr, nullptr) == KS_OK);
        }
        for (int i = 0; i < count; i += 2) {
            CHILD_CHECK(abi_test::put(lane.session, "key " + std::to_string(i), value) == KS_OK);
        }
        CHILD_CHECK(ks_check(lane.store, nullptr, nullptr, nullptr) == KS_OK);
        return 0;
    }));
}

TEST(Full, NoRoomForAStoreLeavesNothing) {
    EXPECT_PASSED(in_small_tmpfs("size=16k", [] {
        ks_store* store = nullptr;
        CHILD_CHECK(abi_test::open("shm:/mnt/none", 0, &store) == KS_E_FULL);
        CHILD_CHECK(std::filesystem::is_empty("/mnt"));
        return 0;
    }));
}

// Whatever the size of the values that filled it: each key of a full store can be deleted, and the last be
// written anew.
TEST(Full, TheStoresOwnSizeEnds) {
    for (const std::size_t size : {0u, 1000u, 8000u, 100000u}) {
        const FreshUrl fresh;
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.max_bytes = 32u << 20;
        options.expected_keys = 20000;
        ks_store* store = nullptr;
        ks_session* session = nullptr;
        ASSERT_EQ(ks_open(fresh.url().c_str(), &options, &store), KS_OK);
        ASSERT_EQ(ks_session_open(store, &session), KS_OK);
        const auto key = [](int number) { return "key " + std::to_string(number); };
        const std::string value(size, 'x');
        int count = 0;
        ks_status status = KS_OK;
        while ((status = abi_test::put(session, key(count), value)) == KS_OK) ++count;
        EXPECT_EQ(status, KS_E_FULL);
        EXPECT_EQ(ks_last_errno(), 0) << ks_last_error();  // the creation's ENOENT was got over
        ASSERT_GT(count, 100);
        EXPECT_EQ(ks_check(store, nullptr, nullptr, nullptr), KS_OK);
        for (int i = 0; i < count; ++i) {
            const ks_stamp seen = abi_test::stamp_of(session, key(i));
            ASSERT_EQ(ks_delete(session, abi_test::bytes(key(i)), seen, nullptr, nullptr), KS_OK) << key(i);
        }
        EXPECT_EQ(abi_test::put(session, key(count - 1), value), KS_OK) << size;
        EXPECT_EQ(ks_check(store, nullptr, nullptr, nullptr), KS_OK);
        ks_close(store);
    }
}

// Filled with values of one size, emptied, and filled with smaller ones: each key can be written.
TEST(Full, WhatWasDeletedServesSmallerValues) {
    struct Sizes {
        std::size_t first, then;
    };
    for (const auto [first, then] : {Sizes{4000, 64}, Sizes{64, 20}, Sizes{200'000, 64}}) {
        const FreshUrl fresh;
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.max_bytes = 32u << 20;
        options.expected_keys = 1000;
        ks_store* store = nullptr;
        ks_session* session = nullptr;
        ASSERT_EQ(ks_open(fresh.url().c_str(), &options, &store), KS_OK);
        ASSERT_EQ(ks_session_open(store, &session), KS_OK);
        const auto key = [](int number) { return "key " + std::to_string(number); };
        const std::string large(first, 'x'), small(then, 'y');
        int count = 0;
        while (abi_test::put(session, key(count), large) == KS_OK) ++count;
        ASSERT_EQ(ks_last_status(), KS_E_FULL);
        ASSERT_GT(count, 50);
        for (int i = 0; i < count; ++i) {
            const ks_stamp seen = abi_test::stamp_of(session, key(i));
            ASSERT_EQ(ks_delete(session, abi_test::bytes(key(i)), seen, nullptr, nullptr), KS_OK) << key(i);
        }
        // A tombstone that found no room among the smallest blocks keeps a larger one, so when there are more of them
        // than one chunk holds, not every key finds room for a value of a size in between (README.md, limits).
        count = std::min(count, 600);
        for (int round = 0; round < 2; ++round) {
            for (int i = 0; i < count; ++i)
                ASSERT_EQ(abi_test::put(session, key(i), small), KS_OK) << first << " " << then << " " << i;
        }
        std::string buf(then, '\0');
        ASSERT_EQ(ks_get(session, abi_test::bytes(key(count - 1)), buf.data(), buf.size(), nullptr, nullptr),
                  KS_OK);
        EXPECT_EQ(buf, small);
        EXPECT_EQ(ks_check(store, nullptr, nullptr, nullptr), KS_OK);
        ks_close(store);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they live on address space
TEST(Full, NoAddressSpaceIsMemory) {
    const FreshUrl fresh;
    EXPECT_EQ(in_child([&] {
                  const rlimit small{1ull << 30, 1ull << 30};
                  CHILD_CHECK(::setrlimit(RLIMIT_AS, &small) == 0);
                  ks_store* store = nullptr;
                  CHILD_CHECK(abi_test::open(fresh.url(), 0, &store) == KS_E_MEMORY);
                  return 0;
              }),
              0);
}
#endif

TEST(Limits, SessionsEndWithATypedFault) {
    const FreshUrl fresh;
    Lane lane(fresh.url());
    std::vector<ks_session*> sessions;
    ks_session* session = nullptr;
    ks_status status = KS_OK;
    while ((status = ks_session_open(lane.store, &session)) == KS_OK) sessions.push_back(session);
    EXPECT_EQ(status, KS_E_PARTICIPANTS);
    EXPECT_EQ(sessions.size() + 1, KS_SESSIONS_MAX);
    ks_session_close(sessions.back());
    ASSERT_EQ(ks_session_open(lane.store, &session), KS_OK);  // a closed one makes room
    EXPECT_EQ(abi_test::put(session, "k", "v"), KS_OK);
}

#if !defined(__SANITIZE_THREAD__)  // the sanitizer's part in 8,192 mappings takes minutes
TEST(Limits, ParticipantsEndWithATypedFault) {
    const FreshUrl fresh;
    const rlimit wanted{KS_PARTICIPANTS_MAX + 100, KS_PARTICIPANTS_MAX + 100};
    EXPECT_PASSED(in_child([&] {
        rlimit now{};
        if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return kSkipped;
        if (now.rlim_cur < wanted.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &wanted) != 0) return kSkipped;
        ks_open_options options{};
        options.struct_size = sizeof options;
        options.max_bytes = 32u << 20;
        std::vector<ks_store*> stores;
        ks_store* store = nullptr;
        ks_status status = KS_OK;
        while ((status = ks_open(fresh.url().c_str(), &options, &store)) == KS_OK) stores.push_back(store);
        CHILD_CHECK(status == KS_E_PARTICIPANTS);
        CHILD_CHECK(stores.size() == KS_PARTICIPANTS_MAX);
        ks_close(stores.back());
        CHILD_CHECK(ks_open(fresh.url().c_str(), &options, &store) == KS_OK);
        return 0;
    }));
}
#endif

// ---- Processes that differ ---------------------------------------------------------------------------------

TEST(Descriptors, AreNotInheritedByExec) {
    const FreshUrl fresh;
    Lane lane(fresh.url());
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) != fresh.path()) continue;
        ++found;
        EXPECT_TRUE(::fcntl(std::stoi(entry.path().filename()), F_GETFD) & FD_CLOEXEC);
    }
    EXPECT_GT(found, 0);
}

// A child that claims "k", says so by a byte, and stays until it is killed.
class Holder {
public:
    template <class Before>
    Holder(const std::string& url, Before before) {
        int ready[2];
        if (::pipe(ready) != 0) return;
        std::fflush(nullptr);
        child_ = ::fork();
        if (child_ == 0) ::_exit(hold(url, ready[1], before));
        ::close(ready[1]);
        char said = 0;
        if (::read(ready[0], &said, 1) == 1) said_ = said;
        ::close(ready[0]);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() { kill(); }

    char said() const { return said_; }
    void kill() {
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
        child_ = 0;
    }

private:
    template <class Before>
    static int hold(const std::string& url, int ready, Before before) {
        char says = 'y';
        {
            const Lane lane(url);
            ks_grant grant{};
            CHILD_CHECK(ks_claim(lane.session, abi_test::bytes("k"), nullptr, &grant, nullptr) == KS_OK);
            says = before(ready);
            CHILD_CHECK(::write(ready, &says, 1) == 1);
            ::pause();
        }
        return 1;
    }
    pid_t child_ = 0;
    char said_ = 0;
};

ks_status claim(ks_session* session) {
    ks_grant grant{};
    return ks_claim(session, abi_test::bytes("k"), nullptr, &grant, nullptr);
}

TEST(Descriptors, OfAProcessThatClosedThemAllAreStoodInForByItsId) {
    const FreshUrl fresh;
    Lane lane(fresh.url());
    Holder holder(fresh.url(), [](int ready) {
        for (int fd = 3; fd < 1024; ++fd) {
            if (fd != ready) ::close(fd);
        }
        return 'y';
    });
    ASSERT_EQ(holder.said(), 'y');
    EXPECT_EQ(claim(lane.session), KS_HELD);  // it lives, though its lock on the file is gone
    holder.kill();
    EXPECT_EQ(claim(lane.session), KS_OK);
}

TEST(Namespaces, OfProcessIdsMayDiffer) {
    const FreshUrl fresh;
    Lane lane(fresh.url());
    EXPECT_PASSED(in_child([&] {
        if (::unshare(CLONE_NEWPID) != 0) return kSkipped;  // the next child is process 1 of a new namespace
        Holder holder(fresh.url(), [](int) { return ::getpid() == 1 ? 'y' : 'n'; });
        CHILD_CHECK(holder.said() == 'y');
        Lane own(fresh.url());
        ks_receipt receipt{};
        ks_grant grant{};
        CHILD_CHECK(ks_claim(own.session, abi_test::bytes("k"), nullptr, &grant, &receipt) == KS_HELD);
        CHILD_CHECK(receipt.owner.pid == 1);
        holder.kill();
        CHILD_CHECK(claim(own.session) == KS_OK);
        return 0;
    }));
}

TEST(Namespaces, OfTimeMustNotDiffer) {
    const FreshUrl fresh;
    Lane lane(fresh.url());
    EXPECT_PASSED(in_child([&] {
        if (::unshare(CLONE_NEWTIME) != 0) return kSkipped;
        return in_child([&] {  // only a child lives in the new namespace
            ks_store* store = nullptr;
            CHILD_CHECK(abi_test::open(fresh.url(), 0, &store) == KS_E_NAMESPACE);
            return 0;
        });
    }));
}

TEST(Creators, ThatRaceEndUpInOneStore) {
    constexpr int kCreators = 4;
    for (int round = 0; round < 20; ++round) {
        const FreshUrl fresh;
        int gate[2];
        ASSERT_EQ(::pipe(gate), 0);
        std::vector<pid_t> children;
        std::fflush(nullptr);
        for (int i = 0; i < kCreators; ++i) {
            const pid_t child = ::fork();
            if (child == 0) {
                ::close(gate[1]);
                char unused;
                (void)!::read(gate[0], &unused, 1);  // all start when the gate closes
                Lane lane(fresh.url());
                if (lane.session == nullptr) std::fprintf(stderr, "cannot open: %s\n", ks_last_error());
                ::_exit(lane.session && abi_test::put(lane.session, "key " + std::to_string(i), "v") == KS_OK
                            ? 0
                            : 1);
            }
            children.push_back(child);
        }
        ::close(gate[0]);
        ::close(gate[1]);
        for (const pid_t child : children) {
            int status = -1;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_EQ(status, 0);
        }
        Lane lane(fresh.url(), KS_OPEN_MUST_EXIST);
        for (int i = 0; i < kCreators; ++i) {
            EXPECT_NE(abi_test::stamp_of(lane.session, "key " + std::to_string(i)).version, 0u);
        }
    }
}

}  // namespace
