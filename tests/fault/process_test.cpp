// What processes do to themselves: close all descriptors, fork at any time, live in other namespaces, be
// too many.
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <vector>

#include "abi/abi.hpp"  // tidy-allow(include): participants' records, to fill them by hand
#include "fault/fault_support.hpp"
#include "support/child.hpp"

namespace keystile::testing {

namespace {

using namespace keystile::engine;

// As closefrom() does, but for the test's own pipes. How many there were.
int close_all_of(const std::string& path) {
    std::vector<int> found;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry.path(), gone) == path) {
            found.push_back(std::stoi(entry.path().filename()));
        }
    }
    for (const int fd : found) ::close(fd);
    return static_cast<int>(found.size());
}

TEST(ClosedDescriptors, LeaveTheProcessAliveByItsId) {
    const TestStore place;
    const Lane lane(place.url());
    ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
    Child careless([&](const Child::Line& line) {
        const Lane own(place.url());
        CHILD_CHECK(claim(own.session, "k") == KS_OK);
        CHILD_CHECK(close_all_of(place.path()) > 0);
        CHILD_CHECK(put(own.session, "mine", "v") == KS_OK);  // the mapping stays
        line.ready();
        line.await();
        CHILD_CHECK(put(own.session, "mine", "w") == KS_OK);
        return 0;
    });
    ASSERT_TRUE(careless.await_ready());
    EXPECT_EQ(claim(lane.session, "k"), KS_HELD);
    std::uint64_t buried = 7;
    EXPECT_EQ(ks_reap(lane.store, &buried), KS_OK);
    EXPECT_EQ(buried, 0u);
    EXPECT_EQ(ks_destroy(place.url().c_str(), 0), KS_E_IN_USE);
    careless.go();
    EXPECT_EQ(careless.await_end(), 0);
    EXPECT_EQ(claim(lane.session, "k"), KS_OK);
}

// A stopped process is neither dead nor waited for.
TEST(StoppedProcess, IsNotReaped) {
    const TestStore place;
    const Lane lane(place.url());
    Child stopped([&](const Child::Line&) {
        const Lane own(place.url());
        CHILD_CHECK(claim(own.session, "k") == KS_OK);
        ::raise(SIGSTOP);
        return 0;
    });
    ASSERT_TRUE(stopped.await_stop());
    EXPECT_EQ(claim(lane.session, "k"), KS_HELD);
    std::uint64_t buried = 7;
    EXPECT_EQ(ks_reap(lane.store, &buried), KS_OK);
    EXPECT_EQ(buried, 0u);
    EXPECT_EQ(put(lane.session, "other", "v"), KS_OK);
    EXPECT_EQ(stopped.kill(), 128 + SIGKILL);
    EXPECT_EQ(claim(lane.session, "k"), KS_OK);
}

// ---- Fork
// -------------------------------------------------------------------------------------------------

// Each call on the parent's handles is refused in the child, and the child's end harms nobody.
int expect_forked(const Lane& lane, const ks_grant& grant) {
    char buf[16];
    ks_session* session = nullptr;
    ks_key key{};
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    ks_get_item item{};
    item.key = bytes("k");
    ks_grant fresh{};
    const auto on_entry = [](void*, const ks_entry*) { return 0; };
    const auto on_participant = [](void*, const ks_participant*) { return 0; };
    CHILD_CHECK(ks_get(lane.session, bytes("k"), buf, sizeof buf, nullptr, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_get_many(lane.session, &item, 1) == KS_E_FORKED);
    CHILD_CHECK(ks_list(lane.session, {nullptr, 0}, 0, on_entry, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_resolve(lane.session, bytes("k"), &key) == KS_E_FORKED);
    CHILD_CHECK(ks_commit(lane.session, bytes("k"), {}, bytes("v"), nullptr, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_delete(lane.session, bytes("k"), {}, nullptr, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_claim(lane.session, bytes("k"), nullptr, &fresh, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_renew(lane.session, &grant, 0, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_release(lane.session, &grant, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_reclaim(lane.session, bytes("k"), grant.stamp.epoch, 0, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_watch(lane.session, bytes("k"), {}, 0, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_session_open(lane.store, &session) == KS_E_FORKED);
    CHILD_CHECK(ks_default_session(lane.store) == nullptr && ks_last_status() == KS_E_FORKED);
    CHILD_CHECK(ks_stat(lane.store, &stats) == KS_E_FORKED);
    CHILD_CHECK(ks_participants(lane.store, on_participant, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_reap(lane.store, nullptr) == KS_E_FORKED);
    CHILD_CHECK(ks_check(lane.store, nullptr, nullptr, nullptr) == KS_E_FORKED);
    return 0;
}

TEST(Fork, EachCallOnTheParentsHandlesIsRefused) {
    const TestStore place;
    const Lane lane(place.url());
    ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
    ks_grant grant{};
    ASSERT_EQ(ks_claim(lane.session, bytes("k"), nullptr, &grant, nullptr), KS_OK);
    ks_session* const own = ks_default_session(lane.store);
    ASSERT_NE(own, nullptr);
    EXPECT_EQ(in_child([&] {
                  if (expect_forked(lane, grant) != 0) return 1;
                  // A grandchild, and a store of the child's own beside the refused handles.
                  CHILD_CHECK(in_child([&] { return expect_forked(lane, grant); }) == 0);
                  const Lane fresh(place.url());
                  CHILD_CHECK(get(fresh.session, "k") == "v");
                  CHILD_CHECK(claim(fresh.session, "k") == KS_HELD);
                  CHILD_CHECK(ks_default_session(fresh.store) != nullptr);
                  ks_session_close(lane.session);
                  ks_close(lane.store);
                  CHILD_CHECK(get(fresh.session, "k") == "v");
                  CHILD_CHECK(claim(fresh.session, "k") == KS_HELD);  // closing the copy gave nothing back
                  return 0;
              }),
              0);
    EXPECT_EQ(ks_release(lane.session, &grant, nullptr), KS_OK);
    EXPECT_EQ(put(own, "k", "w"), KS_OK);
}

// The child keeps no descriptor of the store: the parent's death is noticed though the child lives on.
TEST(Fork, AChildDoesNotKeepItsParentAlive) {
    const TestStore place;
    const Lane lane(place.url());
    Child parent([&](const Child::Line& line) {
        const Lane own(place.url());
        CHILD_CHECK(claim(own.session, "k") == KS_OK);
        const pid_t child = ::fork();
        if (child == 0) {
            line.ready();
            ::pause();  // until the test kills it
            ::_exit(0);
        }
        std::string number = std::to_string(child);
        CHILD_CHECK(put(own.session, "child", number) == KS_OK);
        line.ready();
        line.await();
        return 0;
    });
    ASSERT_TRUE(parent.await_ready());
    ASSERT_TRUE(parent.await_ready());
    const pid_t child = std::stoi(get(lane.session, "child"));
    EXPECT_EQ(claim(lane.session, "k"), KS_HELD);
    EXPECT_EQ(parent.kill(), 128 + SIGKILL);
    EXPECT_EQ(::kill(child, 0), 0);
    EXPECT_EQ(claim(lane.session, "k"), KS_OK);
    ::kill(child, SIGKILL);
}

// Fork while another session is in the middle of a commit (at each of its points): the child opens anew and
// works, the parent goes on; nobody is reaped who lives.
TEST(Fork, AtAnyPointOfACommitHarmsNobody) {
    static std::string url;
    const TestStore place;
    url = place.url();
    EXPECT_EQ(in_child([&] {
                  const Lane lane(url);
                  static int forks = 0, failures = 0;
                  checked::on_point = [](const char*) {
                      if (forks == 60) return;
                      ++forks;
                      failures += in_child([] {
                                      checked::on_point = nullptr;
                                      const Lane own(url);
                                      CHILD_CHECK(put(own.session, "other", "v") == KS_OK);
                                      CHILD_CHECK(ks_reap(own.store, nullptr) == KS_OK);
                                      return 0;
                                  }) != 0;
                  };
                  for (int i = 0; i < 4; ++i) {
                      CHILD_CHECK(put(lane.session, "k",
                                      std::string(static_cast<std::size_t>(i) * 40'000, 'x')) == KS_OK);
                      CHILD_CHECK(claim(lane.session, "key " + std::to_string(i)) == KS_OK);
                  }
                  checked::on_point = nullptr;
                  CHILD_CHECK(forks > 20 && failures == 0);
                  CHILD_CHECK(ks_check(lane.store, nullptr, nullptr, nullptr) == KS_OK);
                  return 0;
              }),
              0);
    EXPECT_EQ(scan(url), "");
}

// ---- Namespaces
// -------------------------------------------------------------------------------------------

TEST(PidNamespaces, ADeathInOneIsSeenInAnother) {
    const TestStore place;
    const Lane lane(place.url());
    ASSERT_EQ(put(lane.session, "k", "v"), KS_OK);
    EXPECT_PASSED(in_child([&] {
        if (::unshare(CLONE_NEWPID) != 0) return kSkipped;  // the next child is process 1 of a new namespace
        int ready[2];
        CHILD_CHECK(::pipe(ready) == 0);
        const pid_t inside = ::fork();
        if (inside == 0) {
            const Lane own(place.url());
            const char said = ::getpid() == 1 && claim(own.session, "k") == KS_OK ? 'y' : 'n';
            if (::write(ready[1], &said, 1) == 1) ::pause();
            ::_exit(1);
        }
        char said = 0;
        CHILD_CHECK(::read(ready[0], &said, 1) == 1 && said == 'y');
        const Lane own(place.url());
        CHILD_CHECK(claim(own.session, "k") == KS_HELD);
        std::uint64_t buried = 7;
        CHILD_CHECK(ks_reap(own.store, &buried) == KS_OK && buried == 0);
        CHILD_CHECK(::kill(inside, SIGKILL) == 0 && ::waitpid(inside, nullptr, 0) == inside);
        CHILD_CHECK(ks_reap(own.store, &buried) == KS_OK && buried == 1);
        CHILD_CHECK(claim(own.session, "k") == KS_OK);
        return 0;
    }));
}

TEST(TimeNamespaces, AreRefused) {
    const TestStore place;
    const Lane lane(place.url());
    EXPECT_PASSED(in_child([&] {
        if (::unshare(CLONE_NEWTIME) != 0) return kSkipped;
        return in_child([&] {  // only a child lives in it
            for (const std::uint32_t flags : {0u, KS_OPEN_READ_ONLY}) {
                ks_store* store = nullptr;
                CHILD_CHECK(open_small(place.url(), flags, &store) == KS_E_NAMESPACE);
            }
            return 0;
        });
    }));
    EXPECT_EQ(put(lane.session, "k", "v"), KS_OK);
}

// ---- Too many
// -----------------------------------------------------------------------------------------------

// Records filled by hand, each in the name of this living process (another one, to those who look): a store
// full of processes without 8,192 of them. Then one of them dies, and there is room for one.
TEST(TooManyParticipants, IsTypedAndTheDeadMakeRoom) {
    const TestStore place;
    Child holder([&](const Child::Line& line) {
        const Lane own(place.url());
        Segment& segment = own.store->store->segment;
        CHILD_CHECK(segment.grow_participants(kParticipantsMax) == Status::kOk);
        for (std::uint32_t i = 0; i < kParticipantsMax; ++i) {
            shm::Participant& record = *segment.participant(i);
            if (i == own.store->store->self.index) continue;
            poke(record.pid, static_cast<std::uint64_t>(self().pid));
            poke(record.start_ticks, self().start_ticks);
            poke(record.pid_namespace, self().pid_namespace);
            poke(record.state, participant_state(ParticipantTag::kAlive, 1));
        }
        line.ready();
        line.await();
        return 0;
    });
    ASSERT_TRUE(holder.await_ready());
    const Lane refused(place.url());
    EXPECT_EQ(refused.status, KS_E_PARTICIPANTS);
    const Lane reader(place.url(), KS_OPEN_READ_ONLY);  // needs no record
    EXPECT_EQ(reader.status, KS_OK);
    EXPECT_EQ(holder.kill(), 128 + SIGKILL);
    const Lane late(place.url());
    EXPECT_EQ(late.status, KS_OK) << ks_last_error();
    EXPECT_EQ(put(late.session, "k", "v"), KS_OK);
    ks_stats stats{};
    stats.struct_size = sizeof stats;
    EXPECT_EQ(ks_stat(late.store, &stats), KS_OK);
    EXPECT_EQ(stats.participants, 1u);
}

TEST(TooManySessions, IsTypedAndTheDeadMakeRoom) {
    const TestStore place;
    const Lane lane(place.url());
    Child holder([&](const Child::Line& line) {
        const Lane own(place.url());
        ks_session* session = nullptr;
        ks_status status = KS_OK;
        while ((status = ks_session_open(own.store, &session)) == KS_OK) {
        }
        CHILD_CHECK(status == KS_E_PARTICIPANTS);
        line.ready();
        line.await();
        return 0;
    });
    ASSERT_TRUE(holder.await_ready());
    ks_session* session = nullptr;
    EXPECT_EQ(ks_session_open(lane.store, &session), KS_E_PARTICIPANTS);
    EXPECT_EQ(put(lane.session, "k", "v"), KS_OK);  // who has one goes on
    EXPECT_EQ(holder.kill(), 128 + SIGKILL);
    ASSERT_EQ(ks_session_open(lane.store, &session), KS_OK) << ks_last_error();
    EXPECT_EQ(put(session, "k", "w"), KS_OK);
}

// No descriptor left: a fault of the system, told with its number.
TEST(TooManyFiles, IsAFaultWithItsErrno) {
    const TestStore place;
    const Lane lane(place.url());
    EXPECT_EQ(in_child([&] {
                  const rlimit none{3, 3};
                  CHILD_CHECK(::setrlimit(RLIMIT_NOFILE, &none) == 0);
                  for (const std::uint32_t flags : {0u, KS_OPEN_READ_ONLY}) {
                      ks_store* store = nullptr;
                      CHILD_CHECK(open_small(place.url(), flags, &store) == KS_E_SYSTEM);
                      CHILD_CHECK(ks_last_errno() == EMFILE);
                  }
                  return 0;
              }),
              0);
}

}  // namespace

}  // namespace keystile::testing
