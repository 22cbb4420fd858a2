// Many keys in one commit: what is read, written and compared, and what each key is told.
#include <functional>
#include <thread>

#include "multi_support.hpp"

namespace {

using abi_test::bytes;
using abi_test::FreshUrl;
using abi_test::is_same;
using abi_test::Lane;
using abi_test::Multi;
using abi_test::put;
using abi_test::stamp_of;
using abi_test::text;
using abi_test::value_of;

class MultiTest : public ::testing::Test {
protected:
    MultiTest() : at_(fresh_.url()) {}
    ~MultiTest() override { abi_test::check_of(at_.store); }

    ks_session* session() { return at_.session; }
    ks_store* store() { return at_.store; }
    std::string url() { return fresh_.url(); }
    std::string value(std::string_view key) { return value_of(session(), key); }
    ks_stamp stamp(std::string_view key) { return stamp_of(session(), key); }

private:
    FreshUrl fresh_;
    Lane at_;
};

TEST_F(MultiTest, NothingIsVisibleBeforeTheCommitAndEverythingAfter) {
    ASSERT_EQ(put(session(), "b", "old"), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    ASSERT_EQ(multi.put("b", "2"), KS_OK);
    ASSERT_EQ(multi.put("c", "3"), KS_OK);
    EXPECT_EQ(value("a") + value("b") + value("c"), "(none)old(none)");
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b") + value("c"), "123");
}

TEST_F(MultiTest, ItemsComeInTheOrderOfTheirFirstMentionWithTheStampsBeforeAndAfter) {
    ASSERT_EQ(put(session(), "zebra", "z"), KS_OK);
    ASSERT_EQ(put(session(), "middle", "m"), KS_OK);
    const ks_stamp zebra = stamp("zebra"), middle = stamp("middle");
    Multi multi(session());
    ASSERT_EQ(multi.read("zebra"), KS_OK);
    ASSERT_EQ(multi.put("apple", "1"), KS_OK);
    ASSERT_EQ(multi.expect("middle", middle), KS_OK);
    ASSERT_EQ(multi.put("zebra", "2"), KS_OK);
    ASSERT_EQ(multi.size(), 3u);
    EXPECT_EQ(text(multi.item(0).key) + " " + text(multi.item(1).key) + " " + text(multi.item(2).key),
              "zebra apple middle");
    EXPECT_TRUE(is_same(multi.item(0).stamp, zebra));
    EXPECT_TRUE(is_same(multi.item(2).stamp, middle));
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(multi.status(i), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    ASSERT_EQ(multi.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(multi.status(i), KS_OK);
    EXPECT_EQ(multi.item(0).stamp.version, zebra.version + 1);
    EXPECT_EQ(multi.item(1).stamp.version, 1u);
    EXPECT_TRUE(is_same(multi.item(0).stamp, stamp("zebra")));
    EXPECT_TRUE(is_same(multi.item(1).stamp, stamp("apple")));
    EXPECT_TRUE(is_same(multi.item(2).stamp, middle));
    EXPECT_TRUE(is_same(stamp("middle"), middle));
}

TEST_F(MultiTest, ConflictSaysWhichKeysMovedAndWhereTheyAre) {
    for (const char* key : {"a", "b", "c"}) ASSERT_EQ(put(session(), key, "old"), KS_OK);
    Multi multi(session());
    for (const char* key : {"a", "b", "c"}) {
        ASSERT_EQ(multi.read(key), KS_OK);
        ASSERT_EQ(multi.put(key, "new"), KS_OK);
    }
    ASSERT_EQ(put(session(), "b", "moved"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(multi.status(0), KS_OK);
    EXPECT_EQ(multi.status(1), KS_CONFLICT);
    EXPECT_EQ(multi.status(2), KS_OK);
    EXPECT_TRUE(is_same(multi.item(1).stamp, stamp("b")));
    EXPECT_TRUE(is_same(multi.item(0).stamp, stamp("a")));
    EXPECT_EQ(value("a") + value("b") + value("c"), "oldmovedold");
    EXPECT_EQ(stamp("a").version, 1u);
}

TEST_F(MultiTest, ItemsAreFoundByTheirKeys) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.read("a"), KS_OK);
    for (int i = 0; i < 40; ++i) ASSERT_EQ(multi.put("more " + std::to_string(i), "1"), KS_OK);
    ks_multi_result found{};
    EXPECT_EQ(multi.find("a", &found), KS_OK);
    EXPECT_TRUE(is_same(found.stamp, stamp("a")));
    EXPECT_EQ(multi.find("never", &found), KS_NOT_FOUND);
    ASSERT_EQ(put(session(), "elsewhere", "1"), KS_OK);
    EXPECT_EQ(multi.find("elsewhere", &found), KS_NOT_FOUND);
    EXPECT_EQ(multi.size(), 41u) << "looking adds nothing";
    ASSERT_EQ(multi.commit(), KS_OK);
    for (const char* key : {"a", "more 0", "more 15", "more 16", "more 39"}) {
        EXPECT_EQ(multi.find(key, &found), KS_OK);
        EXPECT_EQ(text(found.key), key);
        EXPECT_TRUE(is_same(found.stamp, stamp(key)));
    }
    multi.reset();
    EXPECT_EQ(multi.find("a", &found), KS_NOT_FOUND);
}

TEST_F(MultiTest, BlindPutsWriteWhateverIsThere) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "blind"), KS_OK);
    ASSERT_EQ(multi.put("b", "blind"), KS_OK);
    ASSERT_EQ(put(session(), "a", "2"), KS_OK);
    ASSERT_EQ(put(session(), "b", "2"), KS_OK);
    ASSERT_EQ(ks_delete(session(), bytes("b"), stamp("b"), nullptr, nullptr), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b"), "blindblind");
    EXPECT_EQ(stamp("a").version, 3u);
    EXPECT_EQ(stamp("b").version, 3u);
}

TEST_F(MultiTest, ReadsItsOwnWrites) {
    ASSERT_EQ(put(session(), "a", "there"), KS_OK);
    ASSERT_EQ(put(session(), "b", "there"), KS_OK);
    const ks_stamp a = stamp("a");
    Multi multi(session());
    std::string value;
    ks_stamp seen{};
    ASSERT_EQ(multi.read("a"), KS_OK);
    ASSERT_EQ(multi.put("a", "mine"), KS_OK);
    ASSERT_EQ(multi.put("c", "blind"), KS_OK);
    ASSERT_EQ(multi.put("empty", ""), KS_OK);
    ASSERT_EQ(multi.remove("b"), KS_OK);
    EXPECT_EQ(multi.read("a", &value, &seen), KS_OK);
    EXPECT_EQ(value, "mine");
    EXPECT_TRUE(is_same(seen, a));
    EXPECT_EQ(multi.read("c", &value, &seen), KS_OK);
    EXPECT_EQ(value, "blind");
    EXPECT_EQ(multi.read("empty", &value), KS_OK);
    EXPECT_EQ(value, "");
    std::size_t size = 9;
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("b"), nullptr, 0, &size, nullptr), KS_NOT_FOUND);
    EXPECT_EQ(size, 0u);
    char small[2] = {'x', 'x'};
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("a"), small, sizeof small, &size, nullptr), KS_TOO_SMALL);
    EXPECT_EQ(size, 4u);
    EXPECT_EQ(small[0], 'x');
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("a"), nullptr, 0, nullptr, nullptr), KS_TOO_SMALL);
    EXPECT_EQ(multi.commit(), KS_OK);
}

TEST_F(MultiTest, ReadsAsGetDoes) {
    ASSERT_EQ(put(session(), "a", "value"), KS_OK);
    ASSERT_EQ(put(session(), "empty", ""), KS_OK);
    Multi multi(session());
    char buf[8] = "xxxxxxx";
    std::size_t size = 0;
    ks_stamp seen{};
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("a"), nullptr, 0, &size, &seen), KS_TOO_SMALL);
    EXPECT_EQ(size, 5u);
    EXPECT_TRUE(is_same(seen, stamp("a")));
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("a"), buf, 4, &size, nullptr), KS_TOO_SMALL);
    EXPECT_EQ(buf[0], 'x');
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("a"), buf, 5, nullptr, nullptr), KS_OK);
    EXPECT_EQ(std::string(buf, 6), "valuex");
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("empty"), nullptr, 0, &size, nullptr), KS_OK);
    EXPECT_EQ(size, 0u);
    size = 7;
    EXPECT_EQ(ks_multi_read(multi.get(), bytes("none"), buf, sizeof buf, &size, &seen), KS_NOT_FOUND);
    EXPECT_EQ(size, 0u);
    EXPECT_TRUE(is_same(seen, {0, 0}));
    EXPECT_EQ(multi.size(), 3u);
    EXPECT_EQ(multi.commit(), KS_OK);
}

// A key that was only looked at by its size is compared as well.
TEST_F(MultiTest, ATooSmallReadIsCompared) {
    ASSERT_EQ(put(session(), "a", "value"), KS_OK);
    Multi multi(session());
    ASSERT_EQ(ks_multi_read(multi.get(), bytes("a"), nullptr, 0, nullptr, nullptr), KS_TOO_SMALL);
    ASSERT_EQ(put(session(), "a", "moved"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
}

TEST_F(MultiTest, AMissingKeyThatWasReadMustStillBeMissing) {
    Multi multi(session());
    ASSERT_EQ(multi.read("none"), KS_NOT_FOUND);
    ASSERT_EQ(multi.put("other", "1"), KS_OK);
    ASSERT_EQ(put(session(), "none", "now"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(multi.status(0), KS_CONFLICT);
    EXPECT_EQ(value("other"), "(none)");
}

TEST_F(MultiTest, ReadAgainGivesTheSameOrConflict) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    Multi multi(session());
    std::string value;
    ks_stamp first{}, second{};
    ASSERT_EQ(multi.read("a", &value, &first), KS_OK);
    ASSERT_EQ(multi.read("a", &value, &second), KS_OK);
    EXPECT_EQ(value, "1");
    EXPECT_TRUE(is_same(first, second));
    EXPECT_EQ(multi.size(), 1u);
    ASSERT_EQ(put(session(), "a", "2"), KS_OK);
    EXPECT_EQ(multi.read("a"), KS_CONFLICT);
    EXPECT_TRUE(is_same(multi.item(0).stamp, first));  // what is expected did not move with it
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
}

TEST_F(MultiTest, ExpectComparesWithStampsOfAnyAge) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    const ks_stamp old = stamp("a");
    ASSERT_EQ(put(session(), "a", "2"), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.expect("a", old), KS_OK);
    ASSERT_EQ(multi.put("b", "x"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    multi.reset();
    ASSERT_EQ(multi.expect("a", stamp("a")), KS_OK);
    ASSERT_EQ(multi.put("a", "3"), KS_OK);
    ASSERT_EQ(multi.expect("never", {0, 0}), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a"), "3");
    multi.reset();
    ASSERT_EQ(multi.expect("a", old), KS_OK);
    EXPECT_EQ(multi.read("a"), KS_CONFLICT);
    multi.reset();
    ASSERT_EQ(multi.put("a", "4"), KS_OK);  // an expectation may follow the write
    ASSERT_EQ(multi.expect("a", old), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(value("a"), "3");
    multi.reset();
    ASSERT_EQ(multi.expect("never", stamp("a")), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
}

TEST_F(MultiTest, AKeyIsWrittenOnceAndExpectedOnce) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    const ks_stamp seen = stamp("a");
    Multi multi(session());
    const auto begin = [&] {
        multi.reset();
        EXPECT_EQ(multi.put("a", "2"), KS_OK);
        EXPECT_EQ(multi.expect("a", seen), KS_OK);
        EXPECT_EQ(multi.remove("b"), KS_OK);
        EXPECT_EQ(multi.read("c"), KS_NOT_FOUND);
    };
    for (const auto& again : std::vector<std::function<ks_status()>>{
             [&] { return multi.put("a", "3"); }, [&] { return multi.remove("a"); },
             [&] { return multi.put("b", "3"); }, [&] { return multi.expect("a", seen); },
             [&] { return multi.expect("c", {0, 0}); }}) {
        begin();
        EXPECT_EQ(again(), KS_E_ARGUMENT);
        EXPECT_EQ(multi.size(), 3u);
        EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);
    }
    EXPECT_EQ(value("a"), "1");
    begin();
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b") + value("c"), "2(none)(none)");
}

// What was refused has left nothing behind, and what came before and after it is not done by half.
TEST_F(MultiTest, ARefusedCallSpoilsItUntilReset) {
    ks_commit_options unset{};
    const std::string too_long(KS_KEY_SIZE_MAX + 1, 'k'), too_large(KS_VALUE_SIZE_MAX + 1, 'v');
    Multi multi(session());
    struct Case {
        ks_status fault;
        const char* told;  // in the sentence of the commit's fault
        std::function<ks_status()> call;
    };
    for (const Case& is : std::vector<Case>{
             {KS_E_VALUE_SIZE, "16777217", [&] { return multi.put("b", too_large); }},
             {KS_E_ARGUMENT, "data is NULL",
              [&] { return ks_multi_put(multi.get(), bytes("b"), {nullptr, 1}, nullptr); }},
             {KS_E_STRUCT_SIZE, "struct_size", [&] { return multi.put("b", "1", &unset); }},
             {KS_E_STRUCT_SIZE, "struct_size", [&] { return multi.remove("b", &unset); }},
             {KS_E_ARGUMENT, "grant is NULL",
              [&] { return ks_multi_release(multi.get(), bytes("b"), nullptr); }},
             {KS_E_KEY_SIZE, "not 1025", [&] { return multi.remove(too_long); }},
             {KS_E_KEY_SIZE, "not 0", [&] { return multi.expect("", {0, 0}); }},
             {KS_E_KEY_SIZE, "not 0", [&] { return multi.read(""); }},
             {KS_E_ARGUMENT, "buf is NULL",
              [&] { return ks_multi_read(multi.get(), bytes("b"), nullptr, 5, nullptr, nullptr); }}}) {
        multi.reset();
        ASSERT_EQ(multi.put("a", "1"), KS_OK);
        EXPECT_EQ(multi.fault(), KS_OK);
        EXPECT_EQ(is.call(), is.fault) << is.told;
        EXPECT_EQ(multi.size(), 1u) << is.told;
        EXPECT_EQ(multi.put("c", "1"), KS_OK);  // others are taken as before
        EXPECT_EQ(multi.put("c", "2"), KS_E_ARGUMENT);
        EXPECT_EQ(multi.fault(), is.fault) << "the first counts";
        EXPECT_EQ(multi.commit(), is.fault) << is.told;
        EXPECT_NE(std::string(ks_last_error()).find(is.told), std::string::npos) << ks_last_error();
        EXPECT_EQ(multi.commit(), KS_E_ARGUMENT) << "it is over";
        EXPECT_EQ(value("a") + value("b") + value("c"), "(none)(none)(none)") << is.told;
    }
    multi.reset();
    EXPECT_EQ(multi.fault(), KS_OK);
    ASSERT_EQ(multi.put("b", "1"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("b"), "1");
}

TEST_F(MultiTest, KeysAreToldApartByTheirBytes) {
    using std::string_view_literals::operator""sv;
    Multi multi(session());
    ASSERT_EQ(multi.put("a"sv, "1"), KS_OK);
    ASSERT_EQ(multi.put("a\0"sv, "2"), KS_OK);
    ASSERT_EQ(multi.put("\0a"sv, "3"), KS_OK);
    const std::string long_key(KS_KEY_SIZE_MAX, 'k');
    const std::string other_long = std::string(KS_KEY_SIZE_MAX - 1, 'k') + "l";
    ASSERT_EQ(multi.put(long_key, "4"), KS_OK);
    ASSERT_EQ(multi.put(other_long, "5"), KS_OK);
    std::string own(1, '-');
    EXPECT_EQ(multi.read(std::string(KS_KEY_SIZE_MAX, 'k'), &own), KS_OK);  // other memory, the same key
    EXPECT_EQ(own, "4");
    EXPECT_EQ(multi.size(), 5u);
    EXPECT_EQ(text(multi.item(1).key), std::string("a\0", 2));
    EXPECT_EQ(text(multi.item(3).key), long_key);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(text(multi.item(4).key), other_long);
    EXPECT_EQ(value("a"sv) + value("a\0"sv) + value("\0a"sv) + value(long_key) + value(other_long), "12345");
}

TEST_F(MultiTest, WriteSkewIsRefused) {
    ASSERT_EQ(put(session(), "a", "on duty"), KS_OK);
    ASSERT_EQ(put(session(), "b", "on duty"), KS_OK);
    const Lane other(url());
    Multi mine(session()), theirs(other.session);
    for (Multi* multi : {&mine, &theirs}) {
        ASSERT_EQ(multi->read("a"), KS_OK);
        ASSERT_EQ(multi->read("b"), KS_OK);
    }
    ASSERT_EQ(mine.put("a", "off"), KS_OK);
    ASSERT_EQ(theirs.put("b", "off"), KS_OK);
    EXPECT_EQ(mine.commit(), KS_OK);
    EXPECT_EQ(theirs.commit(), KS_CONFLICT);
    EXPECT_EQ(theirs.status(0), KS_CONFLICT);
    EXPECT_EQ(theirs.status(1), KS_OK);
    EXPECT_EQ(value("a") + ", " + value("b"), "off, on duty");
}

TEST_F(MultiTest, WithoutWritesItSaysWhetherTheReadsWereTrueTogether) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    ASSERT_EQ(put(session(), "b", "1"), KS_OK);
    const ks_stamp a = stamp("a");
    Multi multi(session());
    ASSERT_EQ(multi.read("a"), KS_OK);
    ASSERT_EQ(multi.read("b"), KS_OK);
    ASSERT_EQ(multi.read("none"), KS_NOT_FOUND);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_TRUE(is_same(stamp("a"), a));  // a comparison changes nothing
    multi.reset();
    ASSERT_EQ(multi.read("a"), KS_OK);
    ASSERT_EQ(put(session(), "a", "2"), KS_OK);
    ASSERT_EQ(multi.read("b"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(multi.status(0), KS_CONFLICT);
    EXPECT_EQ(multi.status(1), KS_OK);
}

TEST_F(MultiTest, AnEmptyOneIsDone) {
    Multi multi(session());
    EXPECT_EQ(multi.size(), 0u);
    EXPECT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);  // and over
}

TEST_F(MultiTest, DeletesAllOrNothing) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    ASSERT_EQ(put(session(), "b", "1"), KS_OK);
    const ks_stamp a = stamp("a");
    Multi multi(session());
    ASSERT_EQ(multi.remove("a"), KS_OK);
    ASSERT_EQ(multi.put("b", "2"), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("a") + value("b"), "(none)2");
    EXPECT_EQ(stamp("a").version, a.version + 1);
    EXPECT_TRUE(is_same(multi.item(0).stamp, stamp("a")));
    EXPECT_EQ(ks_commit(session(), bytes("a"), a, bytes("late"), nullptr, nullptr), KS_CONFLICT);
}

TEST_F(MultiTest, DeletingNothingWritesNothingAndIsCompared) {
    ASSERT_EQ(put(session(), "gone", "1"), KS_OK);
    ASSERT_EQ(ks_delete(session(), bytes("gone"), stamp("gone"), nullptr, nullptr), KS_OK);
    const ks_stamp gone = stamp("gone");
    Multi multi(session());
    ASSERT_EQ(multi.remove("never"), KS_OK);
    ASSERT_EQ(multi.remove("gone"), KS_OK);
    ASSERT_EQ(multi.put("a", "1"), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_TRUE(is_same(multi.item(0).stamp, {0, 0}));
    EXPECT_TRUE(is_same(stamp("never"), {0, 0}));
    EXPECT_TRUE(is_same(stamp("gone"), gone));
    multi.reset();
    ASSERT_EQ(multi.read("never"), KS_NOT_FOUND);
    ASSERT_EQ(multi.remove("never"), KS_OK);
    ASSERT_EQ(multi.put("a", "2"), KS_OK);
    ASSERT_EQ(put(session(), "never", "after all"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_CONFLICT);
    EXPECT_EQ(value("never") + value("a"), "after all1");
}

TEST_F(MultiTest, IsOverAfterItsCommitUntilReset) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    Multi multi(session());
    for (const bool loses : {false, true}) {
        ASSERT_EQ(multi.read("a"), KS_OK);
        if (loses) {
            ASSERT_EQ(put(session(), "a", "moved"), KS_OK);
        }
        ASSERT_EQ(multi.commit(), loses ? KS_CONFLICT : KS_OK);
        EXPECT_EQ(multi.read("a"), KS_E_ARGUMENT);
        EXPECT_EQ(multi.put("b", "1"), KS_E_ARGUMENT);
        EXPECT_EQ(multi.remove("b"), KS_E_ARGUMENT);
        EXPECT_EQ(multi.expect("b", {0, 0}), KS_E_ARGUMENT);
        EXPECT_EQ(multi.commit(), KS_E_ARGUMENT);
        EXPECT_EQ(multi.size(), 1u);
        multi.reset();
        EXPECT_EQ(multi.size(), 0u);
    }
    ASSERT_EQ(multi.put("b", "2"), KS_OK);
    multi.reset();  // before the commit, too: everything is forgotten
    ASSERT_EQ(multi.put("c", "3"), KS_OK);
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("b") + value("c"), "(none)3");
}

TEST_F(MultiTest, IsThrownAwayByItsEndAlone) {
    ks_multi* multi = nullptr;
    ASSERT_EQ(ks_multi_begin(session(), &multi), KS_OK);
    ASSERT_EQ(ks_multi_put(multi, bytes("a"), bytes("1"), nullptr), KS_OK);
    ks_multi_end(multi);
    EXPECT_EQ(value("a"), "(none)");
}

TEST_F(MultiTest, ValuesAreCopiedWhenTheyArePut) {
    std::string key = "key", what = "as it was";
    Multi multi(session());
    ASSERT_EQ(multi.put(key, what), KS_OK);
    key = "yek";
    what = "overwrite";
    ASSERT_EQ(multi.commit(), KS_OK);
    EXPECT_EQ(value("key") + value("yek"), "as it was(none)");
}

TEST_F(MultiTest, WakesWhoWatchesAnyOfItsKeys) {
    ASSERT_EQ(put(session(), "a", "1"), KS_OK);
    const ks_stamp a = stamp("a"), b = stamp("b");
    ks_status woken[2] = {};
    const auto watch = [&](int index, const char* key, ks_stamp seen) {
        woken[index] = ks_watch(ks_default_session(store()), bytes(key), seen, 30'000'000'000u, nullptr);
    };
    std::thread first(watch, 0, "a", a), second(watch, 1, "b", b);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "2"), KS_OK);
    ASSERT_EQ(multi.put("b", "2"), KS_OK);
    EXPECT_EQ(multi.commit(), KS_OK);
    first.join();
    second.join();
    EXPECT_EQ(woken[0], KS_OK);
    EXPECT_EQ(woken[1], KS_OK);
}

TEST_F(MultiTest, CountsEachKeyThatItWrote) {
    ks_stats before{}, after{};
    before.struct_size = after.struct_size = sizeof before;
    ASSERT_EQ(ks_stat(store(), &before), KS_OK);
    Multi multi(session());
    ASSERT_EQ(multi.put("a", "12345"), KS_OK);
    ASSERT_EQ(multi.put("b", "67"), KS_OK);
    ASSERT_EQ(multi.read("c"), KS_NOT_FOUND);
    ASSERT_EQ(multi.commit(), KS_OK);
    ASSERT_EQ(ks_stat(store(), &after), KS_OK);
    EXPECT_EQ(after.total.commits - before.total.commits, 2u);
    EXPECT_EQ(after.total.bytes - before.total.bytes, 7u);
}

// Two keys that are only ever written together never differ for a transaction that read both and was told OK.
TEST_F(MultiTest, ThreadsOfOneProcessLoseNothing) {
    constexpr int kThreads = 3, kRounds = 300;
    const auto number = [](const std::string& value) { return value.empty() ? 0 : std::stoi(value); };
    std::vector<std::thread> threads;
    std::string wrong[kThreads];
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            Multi multi(ks_default_session(store()));
            for (int done = 0; done < kRounds;) {
                multi.reset();
                std::string a, b;
                const ks_status read_a = multi.read("a", &a), read_b = multi.read("b", &b);
                if (read_a < 0 || read_b < 0) wrong[t] = ks_last_error();
                if (read_a == KS_CONFLICT || read_b == KS_CONFLICT) continue;
                (void)multi.put("a", std::to_string(number(a) + 1));
                (void)multi.put("b", std::to_string(number(b) + 1));
                const ks_status s = multi.commit();
                if (s == KS_OK && a != b) wrong[t] = "committed though " + a + " is not " + b;
                if (s < 0) wrong[t] = ks_last_error();
                if (!wrong[t].empty()) return;
                done += s == KS_OK ? 1 : 0;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& what : wrong) EXPECT_EQ(what, "");
    EXPECT_EQ(value("a"), std::to_string(kThreads * kRounds));
    EXPECT_EQ(value("b"), std::to_string(kThreads * kRounds));
}

}  // namespace
