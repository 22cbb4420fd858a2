// A file system without room: the call says KS_E_FULL, nothing is lost, and what is deleted makes room
// again.
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <map>

#include "fault/fault_support.hpp"
#include "platform/platform.hpp"

namespace keystile::testing {

namespace {

const std::string large(300'000, 'L');
const std::string middle(10'000, 'M');
const std::string small(100, 'S');

// Put until it is full; what was acknowledged.
int fill(ks_session* session, const std::string& prefix, const std::string& value,
         std::map<std::string, char>* there) {
    for (int i = 0;; ++i) {
        const std::string key = prefix + std::to_string(i);
        const ks_status status = put(session, key, value);
        if (status == KS_E_FULL) return 0;
        CHILD_CHECK(status == KS_OK);
        (*there)[key] = value.front();
    }
}

int expect_all(ks_session* session, const std::map<std::string, char>& there) {
    for (const auto& [key, letter] : there) {
        const std::string value = get(session, key);
        CHILD_CHECK(!value.empty() && value.find_first_not_of(letter) == std::string::npos);
    }
    return 0;
}

TEST(FullTmpfs, HasNoRoomForAStoreAndNothingIsLeft) {
    for (const char* size : {"size=4k", "size=64k", "size=256k"}) {
        EXPECT_PASSED(in_tmpfs(size, [] {
            ks_store* store = nullptr;
            CHILD_CHECK(open_small(url_in(kMount), 0, &store) == KS_E_FULL);
            CHILD_CHECK(std::filesystem::is_empty(kMount));
            return 0;
        }));
    }
}

TEST(FullTmpfs, WithoutInodesHasNoRoomForAStore) {
    EXPECT_PASSED(in_tmpfs("size=64m,nr_inodes=1", [] {
        ks_store* store = nullptr;
        CHILD_CHECK(open_small(url_in(kMount), 0, &store) == KS_E_FULL);
        return 0;
    }));
}

// Values of every size until nothing goes in any more; then each value is still there, deleting works, what was deleted
// can be written again, and the blocks add up. What is there is overwritten as soon as there is a block for it: the one
// it replaces is not free before (keystile.h, KS_E_FULL).
TEST(FullTmpfs, LosesNothingAndServesOn) {
    EXPECT_PASSED(in_tmpfs("size=6m", [] {
        std::map<std::string, char> there;
        {
            const Lane lane(url_in(kMount));
            CHILD_CHECK(lane.status == KS_OK);
            if (fill(lane.session, "large ", large, &there) != 0) return 1;
            if (fill(lane.session, "middle ", middle, &there) != 0) return 1;
            if (fill(lane.session, "small ", small, &there) != 0) return 1;
            CHILD_CHECK(there.size() > 20);
            if (expect_all(lane.session, there) != 0) return 1;
            for (int i = 0; i < 3; ++i) {  // full for good, whoever asks
                CHILD_CHECK(put(lane.session, "one more", large) == KS_E_FULL);
            }
            const Lane another(url_in(kMount));
            CHILD_CHECK(another.status == KS_OK);
            CHILD_CHECK(put(another.session, "one more", large) == KS_E_FULL);
            for (const auto& [key, letter] : there) {
                if (letter != 'S') CHILD_CHECK(erase(lane.session, key) == KS_OK);
            }
            for (auto& [key, letter] : there) {
                const ks_status status = put(lane.session, key,
                                             letter == 'L'   ? large
                                             : letter == 'M' ? middle
                                                             : small);
                CHILD_CHECK(status == KS_OK || (letter == 'S' && status == KS_E_FULL));
            }
            if (expect_all(lane.session, there) != 0) return 1;
            CHILD_CHECK(erase(lane.session, "large 0") == KS_OK);
            there.erase("large 0");
            for (const auto& [key, letter] : there) {
                if (letter == 'S') CHILD_CHECK(put(lane.session, key, small) == KS_OK);
            }
            if (expect_all(lane.session, there) != 0) return 1;
        }
        const std::string wrong = scan(url_in(kMount));
        std::fputs(wrong.c_str(), stderr);
        CHILD_CHECK(wrong.empty());
        return 0;
    }));
}

// Another's file takes the last room: everything that needs no new memory goes on.
TEST(FullTmpfs, FilledByOthersStillServesWhatNeedsNoRoom) {
    EXPECT_PASSED(in_tmpfs("size=8m", [] {
        const Lane lane(url_in(kMount));
        CHILD_CHECK(lane.status == KS_OK);
        CHILD_CHECK(put(lane.session, "k", small) == KS_OK && put(lane.session, "k", small) == KS_OK);
        std::FILE* other = std::fopen("/mnt/other", "w");
        const std::string page(4096, 'o');
        while (std::fwrite(page.data(), 1, page.size(), other) == page.size() && std::fflush(other) == 0) {
        }
        std::fclose(other);
        CHILD_CHECK(get(lane.session, "k") == small);
        for (int i = 0; i < 100; ++i) CHILD_CHECK(put(lane.session, "k", small) == KS_OK);
        CHILD_CHECK(claim(lane.session, "k") == KS_OK);
        CHILD_CHECK(put(lane.session, "large", large + large + large + large) == KS_E_FULL);
        ks_session* session = nullptr;
        CHILD_CHECK(ks_session_open(lane.store, &session) == KS_OK);
        CHILD_CHECK(ks_check(lane.store, nullptr, nullptr, nullptr) == KS_OK);
        std::filesystem::remove("/mnt/other");
        CHILD_CHECK(put(lane.session, "large", large) == KS_OK);
        return 0;
    }));
}

// A process that dies with a large block in its hands on a full store: its memory is what makes room.
TEST(FullTmpfs, IsServedFromWhatTheDeadLeft) {
    EXPECT_PASSED(in_tmpfs("size=6m", [] {
        std::map<std::string, char> there;
        const Lane lane(url_in(kMount));
        CHILD_CHECK(lane.status == KS_OK);
        const int dead = in_child([] {
            const Lane victim(url_in(kMount));
            checked::on_point = [](const char* name) {
                if (std::string_view(name) == "operations.commit.before_cas") ::kill(::getpid(), SIGKILL);
            };
            (void)put(victim.session, "never", large + large);
            return 1;
        });
        CHILD_CHECK(dead == 128 + SIGKILL);
        if (fill(lane.session, "large ", large, &there) != 0) return 1;
        ks_check_report report{};
        report.struct_size = sizeof report;
        CHILD_CHECK(ks_check(lane.store, nullptr, nullptr, &report) == KS_OK);
        CHILD_CHECK(report.blocks_unreaped == 0);
        CHILD_CHECK(get(lane.session, "never") == "KS_NOT_FOUND");
        return expect_all(lane.session, there);
    }));
}

TEST(SmallestStore, EndsWithKsEFullAndLosesNothing) {
    const TestStore place;
    const Lane lane(place.url());
    ASSERT_EQ(lane.status, KS_OK);
    std::map<std::string, char> there;
    ASSERT_EQ(fill(lane.session, "large ", large, &there), 0);
    ASSERT_EQ(fill(lane.session, "small ", small, &there), 0);
    EXPECT_EQ(expect_all(lane.session, there), 0);
    for (const auto& [key, letter] : there) ASSERT_EQ(erase(lane.session, key), KS_OK) << key;
    for (const auto& [key, letter] : there) {
        ASSERT_EQ(put(lane.session, key, letter == 'L' ? large : small), KS_OK) << key;
    }
    EXPECT_EQ(expect_all(lane.session, there), 0);
    EXPECT_EQ(ks_check(lane.store, nullptr, nullptr, nullptr), KS_OK);
}

}  // namespace

}  // namespace keystile::testing
