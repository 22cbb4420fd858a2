// Reading, committing, deleting and listing through keystile.hpp: each outcome as a value, each fault as both.
#include <array>
#include <map>
#include <stdexcept>
#include <vector>

#include "cpp_support.hpp"

namespace {

using cpp_test::FreshUrl;
using keystile::Error;
using keystile::Outcome;
using keystile::Session;
using keystile::Stamp;
using keystile::Store;
using namespace std::literals;

// ---- Opening -----------------------------------------------------------------------------------------------

TEST(Open, ThrowsATypedError) {
    try {
        (void)Store::open("not a url");
        FAIL() << "no exception";
    } catch (const Error& error) {
        EXPECT_EQ(error.status(), KS_E_URL);
        EXPECT_TRUE(std::string_view(error.what()).starts_with("KS_E_URL: ")) << error.what();
        EXPECT_GT(std::string_view(error.what()).size(), "KS_E_URL: "sv.size());
    }
}

TEST(Open, HasATwinThatDoesNotThrow) {
    const FreshUrl url;
    const auto missing = Store::try_open(url, {.mode = keystile::OpenOptions::Mode::must_exist});
    EXPECT_EQ(missing.status, KS_E_NO_STORE);
    EXPECT_EQ(missing.outcome(), Outcome::fault);
    EXPECT_FALSE(missing.store);
    EXPECT_THROW(missing.throw_if_fault(), Error);

    const auto made =
        Store::try_open(url, {.mode = keystile::OpenOptions::Mode::must_create, .label = "a label"});
    ASSERT_TRUE(made) << ks_last_error();
    EXPECT_EQ(Store::try_open(url, {.mode = keystile::OpenOptions::Mode::must_create}).status, KS_E_EXISTS);
    std::string label;
    ASSERT_TRUE(made.store.participants([&](const ks_participant& one) { label = one.label; }));
    EXPECT_EQ(label, "a label");
}

TEST(Open, OptionsReachTheStore) {
    const FreshUrl url;
    const auto store = Store::open(url, {.prefault = true, .expected_keys = 100, .max_bytes = 32u << 20});
    const auto stats = store.stat();
    ASSERT_TRUE(stats);
    EXPECT_LE(stats.stats.bytes_reserved, 32u << 20);

    const auto reader = Store::open(url, {.is_read_only = true});
    EXPECT_EQ(reader.session().commit("k", {}, "v").status, KS_E_READ_ONLY);
}

TEST(Lifetime, SessionsAndClaimsKeepTheirStoreOpen) {
    const FreshUrl url;
    Session session;
    EXPECT_FALSE(session);
    {
        auto store = Store::open(url);
        session = store.session();
    }
    ASSERT_TRUE(session.commit("k", {}, "v"));
    auto claim = std::move(session).claim("k").claim;
    session = Session();
    EXPECT_TRUE(claim.commit("w"));
    EXPECT_EQ(Store::destroy(url).status, KS_E_IN_USE);
    claim = {};
    EXPECT_TRUE(Store::destroy(url));  // the last one closed the store
}

TEST(Lifetime, EmptyObjectsAnswerWithFaults) {
    Session session;
    keystile::Claim claim;
    EXPECT_EQ(session.get("k").status, KS_E_ARGUMENT);
    EXPECT_EQ(session.update("k", [](std::string_view) { return "v"; }).status, KS_E_ARGUMENT);
    EXPECT_EQ(Store().try_session().status, KS_E_ARGUMENT);
    EXPECT_EQ(claim.commit("v").status, KS_E_GRANT);
    EXPECT_EQ(claim.release().status, KS_E_GRANT);
    EXPECT_EQ(claim.get().status, KS_E_GRANT);
    EXPECT_THROW((void)Store().here(), Error);
}

TEST(Here, IsTheThreadsOwnSession) {
    const FreshUrl url;
    const auto store = Store::open(url);
    EXPECT_EQ(store.here().native(), store.here().native());
    ks_session* theirs = nullptr;
    std::thread([&] { theirs = store.here().native(); }).join();
    EXPECT_NE(theirs, nullptr);
    EXPECT_NE(theirs, store.here().native());
}

// ---- Keys and values ------------------------------------------------------------------------------------------

struct CppValues : testing::Test {
    FreshUrl url;
    Store store = Store::open(url);
    Session session = store.session();
};

TEST_F(CppValues, OutcomesAreValuesToSwitchOver) {
    const auto name_of = [&](const keystile::Receipt& receipt) -> std::string {
        switch (receipt.outcome()) {
            case Outcome::ok:
                return "ok";
            case Outcome::conflict:
                return "conflict";
            case Outcome::fenced:
                return "fenced";
            case Outcome::held:
                return "held by " + std::to_string(receipt.owner.pid);
            default:
                return std::string(receipt.name());
        }
    };
    const auto first = session.commit("k", {}, "v");
    EXPECT_EQ(name_of(first), "ok");
    EXPECT_EQ(name_of(session.commit("k", {}, "w")), "conflict");
    EXPECT_EQ(name_of(session.commit("", {}, "w")), "KS_E_KEY_SIZE");
    auto claimed = store.session().claim("k");
    ASSERT_TRUE(claimed);
    EXPECT_EQ(name_of(session.commit("k", first.stamp, "w")), "held by " + std::to_string(::getpid()));
    EXPECT_TRUE(claimed.claim.release());
    EXPECT_EQ(name_of(session.commit("k", first.stamp, "w")), "fenced");
    EXPECT_NO_THROW(session.commit("k", {}, "w").throw_if_fault());
    EXPECT_THROW(session.commit("", {}, "w").throw_if_fault(), Error);
}

TEST_F(CppValues, KeysAndValuesAreTextOrBytesOfAnyKind) {
    const std::string text = "text";
    const std::vector<std::byte> bytes = {std::byte{0}, std::byte{255}, std::byte{0}};
    const std::array<unsigned char, 2> octets = {0, 1};
    char raw[] = "raw";
    EXPECT_TRUE(session.commit("literal", {}, text));
    EXPECT_TRUE(session.commit(text, {}, "with\0zero"sv));
    EXPECT_TRUE(session.commit(bytes, {}, std::span(bytes)));
    EXPECT_TRUE(session.commit(octets, {}, octets));
    EXPECT_TRUE(session.commit(raw, {}, raw));
    EXPECT_TRUE(session.commit("empty"sv, {}, ""));

    EXPECT_EQ(session.get("literal").text(), "text");
    EXPECT_EQ(session.get(text).value, "with\0zero"sv);
    const auto read = session.get(bytes);
    EXPECT_TRUE(std::ranges::equal(read.bytes(), bytes));
    EXPECT_EQ(session.get("raw").value, "raw");
    EXPECT_EQ(session.get("empty").text(), "");
    EXPECT_EQ(session.get("missing").text(), std::nullopt);
    EXPECT_EQ(session.get("missing").outcome(), Outcome::not_found);
}

TEST_F(CppValues, LargeValuesComeWhole) {
    std::string value(3'000'000, '\0');
    for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 7 + i / 250);
    Stamp stamp;
    for (const std::size_t size : {511u, 512u, 513u, 70'000u, 3'000'000u}) {
        const auto done = session.commit("k", stamp, std::string_view(value).substr(0, size));
        ASSERT_TRUE(done);
        const auto read = session.get("k");
        EXPECT_EQ(read.value, std::string_view(value).substr(0, size));
        EXPECT_EQ(read.stamp, done.stamp);
        stamp = done.stamp;
    }
}

TEST_F(CppValues, ABufferOfTheCallersIsFilledOrTold) {
    ASSERT_TRUE(session.commit("k", {}, "0123456789"));
    std::array<std::byte, 10> room{};
    const auto small = session.get_into("k", std::span(room).first(9));
    EXPECT_EQ(small.outcome(), Outcome::too_small);
    EXPECT_EQ(small.size, 10u);
    const auto whole = session.get_into("k", room);
    ASSERT_TRUE(whole);
    EXPECT_EQ(static_cast<char>(room[9]), '9');
    EXPECT_EQ(whole.stamp, session.get("k").stamp);
}

TEST_F(CppValues, AResolvedKeyWorksEverywhere) {
    const auto resolved = session.resolve("k");
    ASSERT_TRUE(resolved);
    const keystile::Key& key = resolved.key;
    EXPECT_EQ(key.name(), "k");
    EXPECT_EQ(session.get(key).outcome(), Outcome::not_found);
    ASSERT_TRUE(session.commit(key, {}, "v"));
    ASSERT_TRUE(session.update(key, [](std::string_view old) { return std::string(old) + "w"; }));
    EXPECT_EQ(session.get("k").value, "vw");
    EXPECT_EQ(session.watch(key, {}, 0ns).outcome(), Outcome::ok);
    EXPECT_TRUE(session.claim(key).claim.commit_and_release("x"));
    EXPECT_TRUE(session.erase(key, session.get(key).stamp));
    EXPECT_EQ(session.get("k").outcome(), Outcome::not_found);
}

TEST_F(CppValues, ManyKeysAreReadInTheOrderAsked) {
    const std::string large(10'000, 'x');
    ASSERT_TRUE(session.commit("a", {}, "1"));
    ASSERT_TRUE(session.commit("c", {}, large));
    const auto many = session.get_many({"a", "b", "c"});
    ASSERT_TRUE(many);
    ASSERT_EQ(many.reads.size(), 3u);
    EXPECT_EQ(many.reads[0].value, "1");
    EXPECT_EQ(many.reads[1].outcome(), Outcome::not_found);
    EXPECT_EQ(many.reads[2].value, large);
    std::vector<std::string> names;
    EXPECT_TRUE(session.get_many(std::span(names)).reads.empty());
}

TEST_F(CppValues, ErasingGoesOnWithTheVersion) {
    const auto made = session.commit("k", {}, "v");
    EXPECT_EQ(session.erase("k", {}).outcome(), Outcome::conflict);
    const auto gone = session.erase("k", made.stamp);
    ASSERT_TRUE(gone);
    EXPECT_GT(gone.stamp.version, made.stamp.version);
    EXPECT_EQ(session.erase("k", gone.stamp).outcome(), Outcome::not_found);
    EXPECT_EQ(session.get("k").stamp, gone.stamp);
}

// ---- Callbacks ------------------------------------------------------------------------------------------------

TEST_F(CppValues, ListsKeysByPrefix) {
    for (const auto* name : {"a/1", "a/2", "b/1"}) ASSERT_TRUE(session.commit(name, {}, name));
    const auto claimed = session.claim("a/3");
    ASSERT_TRUE(claimed);
    std::map<std::string, bool> found;
    const auto note = [&](const keystile::Entry& entry) {
        found.emplace(entry.key, entry.owner.has_value());
    };
    ASSERT_TRUE(session.list("a/", note));
    EXPECT_EQ(found, (std::map<std::string, bool>{{"a/1", false}, {"a/2", false}}));
    ASSERT_TRUE(session.list("a/", note, true));
    EXPECT_TRUE(found.at("a/3"));
    int calls = 0;
    ASSERT_TRUE(session.list("", [&](const keystile::Entry&) { return ++calls < 2; }));
    EXPECT_EQ(calls, 2);
}

TEST_F(CppValues, ExceptionsOfCallbacksComeBackOut) {
    ASSERT_TRUE(session.commit("k", {}, "v"));
    int calls = 0;
    const auto fail = [&](auto&&...) {
        ++calls;
        throw std::runtime_error("mine");
    };
    EXPECT_THROW((void)session.list("", fail), std::runtime_error);
    EXPECT_THROW((void)store.participants(fail), std::runtime_error);
    EXPECT_EQ(calls, 2);
    EXPECT_EQ(session.get("k").value, "v");  // the session is in order
}

TEST_F(CppValues, LooksAfterTheStore) {
    ASSERT_TRUE(session.commit("k", {}, "v"));
    EXPECT_EQ(store.stat().stats.keys, 1u);
    const auto checked = store.check();
    EXPECT_TRUE(checked);
    EXPECT_EQ(checked.report.problems, 0u);
    EXPECT_EQ(checked.report.blocks_live, 1u);
    const auto reaped = store.reap();
    EXPECT_TRUE(reaped);
    EXPECT_EQ(reaped.participants, 0u);
}

TEST_F(CppValues, AWatchTellsTheStampNow) {
    const auto made = session.commit("k", {}, "v");
    EXPECT_EQ(session.watch("k", made.stamp, 0ns).outcome(), Outcome::timeout);
    std::thread writer([&] { ASSERT_TRUE(store.here().commit("k", made.stamp, "w")); });
    const auto moved = session.watch("k", made.stamp);
    writer.join();
    EXPECT_TRUE(moved);
    EXPECT_EQ(moved.stamp.version, made.stamp.version + 1);
}

}  // namespace
