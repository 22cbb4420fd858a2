// Many files in one step, claims, gates; and many processes at them.
#include <csignal>
#include <random>
#include <thread>

#include "plain/plain_support.hpp"
#include "support/child.hpp"

namespace keystile::testing {
namespace {

using ::testing::IsEmpty;

ks_files_change change_of(const char* path, std::string_view data, ks_stamp seen, std::uint32_t flags = 0) {
    ks_files_change change{};
    change.path = path;
    change.data = bytes_in(data);
    change.seen = seen;
    change.flags = flags;
    return change;
}

TEST(FilesPublish, AllOrNone) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a", "1"), KS_OK);
    ASSERT_EQ(files.put("b", "1"), KS_OK);
    ASSERT_EQ(files.put("c", "1"), KS_OK);
    const ks_stamp old = files.stamp("b");
    ASSERT_EQ(files.put("b", "2"), KS_OK);
    std::uint64_t lsn = 0;
    ks_files_change changes[] = {change_of("a", "9", files.stamp("a")), change_of("b", "9", old),
                                 change_of("c", "", files.stamp("c"), KS_FILES_REMOVE),
                                 change_of("new/d", "9", {})};
    EXPECT_EQ(ks_files_publish(files.get(), changes, 4, &lsn), KS_CONFLICT);
    EXPECT_EQ(changes[0].status, KS_OK);
    EXPECT_EQ(changes[1].status, KS_CONFLICT);
    EXPECT_EQ(changes[1].stamp.version, files.stamp("b").version);
    EXPECT_EQ(folder.peek("a") + folder.peek("b") + folder.peek("c") + folder.peek("new/d"), "121(none)");

    changes[1].seen = changes[1].stamp;
    ASSERT_EQ(ks_files_publish(files.get(), changes, 4, &lsn), KS_OK) << ks_last_error();
    EXPECT_EQ(folder.peek("a") + folder.peek("b") + folder.peek("c") + folder.peek("new/d"), "99(none)9");
    for (const ks_files_change& change : changes) {
        EXPECT_EQ(change.status, KS_OK);
        EXPECT_EQ(change.stamp.version, lsn);
        EXPECT_EQ(files.stamp(change.path).version, lsn);
    }
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

TEST(FilesPublish, WhatIsOnlyExpectedIsCompared) {
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("a", "1"), KS_OK);
    const ks_stamp a = files.stamp("a");
    ks_files_change changes[] = {change_of("a", "", a, KS_FILES_EXPECT), change_of("b", "1", {})};
    EXPECT_EQ(ks_files_publish(files.get(), changes, 2, nullptr), KS_OK);
    EXPECT_EQ(files.stamp("a").version, a.version);
    folder.poke("a", "edited");
    changes[1].seen = files.stamp("b");
    changes[1].data = bytes_in("2");
    EXPECT_EQ(ks_files_publish(files.get(), changes, 2, nullptr), KS_FOREIGN_EDIT);
    EXPECT_EQ(changes[0].status, KS_FOREIGN_EDIT);
    EXPECT_EQ(folder.peek("b"), "1");
    EXPECT_EQ(files.adopt("a"), KS_OK);
    EXPECT_EQ(ks_files_publish(files.get(), changes, 2, nullptr), KS_CONFLICT);
}

TEST(FilesPublish, FaultsAreTyped) {
    const Folder folder;
    const Files files(folder);
    ks_files_change twice[] = {change_of("a", "1", {}), change_of("./a", "1", {})};
    EXPECT_EQ(ks_files_publish(files.get(), twice, 2, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_files_publish(files.get(), twice, 0, nullptr), KS_E_ARGUMENT);
    EXPECT_EQ(ks_files_publish(files.get(), nullptr, 1, nullptr), KS_E_ARGUMENT);
    ks_files_change flags[] = {change_of("a", "", {}, KS_FILES_EXPECT | KS_FILES_REMOVE)};
    EXPECT_EQ(ks_files_publish(files.get(), flags, 1, nullptr), KS_E_ARGUMENT);
    ks_files_change data[] = {change_of("a", "1", {}, KS_FILES_REMOVE)};
    EXPECT_EQ(ks_files_publish(files.get(), data, 1, nullptr), KS_E_ARGUMENT);
    ks_files_change path[] = {change_of("a", "1", {}), change_of("../b", "1", {})};
    EXPECT_EQ(ks_files_publish(files.get(), path, 2, nullptr), KS_E_PATH);
    EXPECT_EQ(folder.peek("a"), "(none)");
}

TEST(FilesClaim, OnlyItsGrantWrites) {
    const Folder folder;
    const Files files(folder);
    const Files others(folder);
    folder.poke("f", "one");
    ks_grant grant{};
    std::thread([&] { ASSERT_EQ(ks_files_claim(files.get(), "f", nullptr, &grant, nullptr), KS_OK); }).join();
    // The thread is gone, the claim is the handle's.
    ks_receipt receipt{};
    const ks_stamp seen = others.stamp("f");
    EXPECT_EQ(others.write("f", "two", seen, nullptr, &receipt), KS_HELD);
    EXPECT_EQ(receipt.owner.pid, ::getpid());
    EXPECT_EQ(folder.peek("f"), "one");
    ks_files_change changes[] = {change_of("f", "two", seen), change_of("g", "two", {})};
    EXPECT_EQ(ks_files_publish(others.get(), changes, 2, nullptr), KS_HELD);
    EXPECT_EQ(changes[0].status, KS_HELD);
    EXPECT_EQ(changes[0].owner.pid, ::getpid());
    changes[0].grant = &grant;
    EXPECT_EQ(ks_files_publish(files.get(), changes, 2, nullptr), KS_OK) << ks_last_error();
    EXPECT_EQ(files.write("f", "three", files.stamp("f"), &grant), KS_OK);
    ks_grant other{};
    EXPECT_EQ(ks_files_claim(others.get(), "f", nullptr, &other, &receipt), KS_HELD);
    ks_claim_options options{sizeof options, 0, 0, 0, 1'000'000};
    EXPECT_EQ(ks_files_claim(others.get(), "f", &options, &other, &receipt), KS_TIMEOUT);
    EXPECT_EQ(ks_files_renew(files.get(), &grant, 0, nullptr), KS_OK);
    EXPECT_EQ(ks_files_release(files.get(), &grant, nullptr), KS_OK);
    EXPECT_EQ(files.write("f", "late", files.stamp("f"), &grant), KS_FENCED);
    EXPECT_EQ(folder.peek("f"), "three");
}

TEST(FilesClaim, ADetachedOneIsItsTokens) {
    const Folder folder;
    const Files files(folder);
    const ks_claim_options options{sizeof options, KS_CLAIM_DETACHED, 0, 60'000'000'000, 0};
    ks_grant grant{};
    ASSERT_EQ(ks_files_claim(files.get(), "f", &options, &grant, nullptr), KS_OK);
    char token[KS_TOKEN_SIZE];
    ASSERT_EQ(ks_grant_format(&grant, token, sizeof token), KS_OK);
    const Files others(folder);
    ks_grant parsed{};
    ASSERT_EQ(ks_files_grant(others.get(), "f", token, &parsed), KS_OK);
    EXPECT_EQ(others.write("f", "one", others.stamp("f"), &parsed), KS_OK) << ks_last_error();
    ks_files_change changes[] = {change_of("f", "", others.stamp("f"))};
    changes[0].grant = &parsed;
    int result = -1;
    EXPECT_EQ(ks_files_gate(others.get(), changes, 1, [](void*) { return 5; }, nullptr, &result), KS_OK);
    EXPECT_EQ(result, 5);
    EXPECT_EQ(ks_files_release(others.get(), &parsed, nullptr), KS_OK);
    EXPECT_EQ(ks_files_grant(others.get(), "f", "nonsense", &parsed), KS_E_GRANT);
}

TEST(FilesGate, TheEffectRunsIfNothingMoved) {
    const Folder folder;
    const Files files(folder);
    const Files others(folder);
    ASSERT_EQ(files.put("a", "1"), KS_OK);
    ASSERT_EQ(files.put("b", "1"), KS_OK);
    struct Effect {
        const Files& others;
        int runs = 0;
        ks_status told = KS_OK;
    } effect{others};
    const auto run = [](void* user) {
        auto& e = *static_cast<Effect*>(user);
        ++e.runs;
        e.told = e.others.put("b", "meanwhile");
        return 42;
    };
    ks_files_change changes[] = {change_of("a", "", files.stamp("a")), change_of("b", "", files.stamp("b")),
                                 change_of("absent", "", {})};
    int result = 0;
    ASSERT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result), KS_OK) << ks_last_error();
    EXPECT_EQ(result, 42);
    EXPECT_EQ(effect.runs, 1);
    EXPECT_EQ(effect.told, KS_HELD);
    EXPECT_EQ(files.put("b", "2"), KS_OK);  // given back

    EXPECT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result),
              KS_FENCED);  // a: it was claimed since
    for (ks_files_change& change : changes) change.seen = files.stamp(change.path);
    const ks_stamp current = changes[1].seen;
    changes[1].seen.version = 1;
    EXPECT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result), KS_CONFLICT);
    EXPECT_EQ(changes[1].status, KS_CONFLICT);
    for (ks_files_change& change : changes) change.seen = files.stamp(change.path);
    EXPECT_EQ(changes[1].seen.version, current.version);
    folder.poke("b", "edited");
    EXPECT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result), KS_FOREIGN_EDIT);
    EXPECT_EQ(effect.runs, 1);
    EXPECT_EQ(files.restore("b"), KS_OK);
    ks_grant grant{};
    ASSERT_EQ(ks_files_claim(others.get(), "b", nullptr, &grant, nullptr), KS_OK);
    for (ks_files_change& change : changes) change.seen = files.stamp(change.path);
    EXPECT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result), KS_HELD);
    EXPECT_EQ(changes[1].owner.pid, ::getpid());
    EXPECT_EQ(effect.runs, 1);
    changes[0].flags = KS_FILES_REMOVE;
    EXPECT_EQ(ks_files_gate(files.get(), changes, 3, run, &effect, &result), KS_E_ARGUMENT);
}

// One file, many processes, none of their increments is lost.
TEST(FilesMany, NoIncrementIsLost) {
    constexpr int kProcesses = 4, kIncrements = 15;
    const Folder folder;
    const Files files(folder);
    ASSERT_EQ(files.put("count", "0"), KS_OK);
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < kProcesses; ++i) {
        children.push_back(std::make_unique<Child>([&](const Child::Line&) {
            const Files own(folder);
            for (int done = 0; done < kIncrements;) {
                const Got got = own.read("count");
                if (got.status != KS_OK) return 1;
                const ks_status s = own.write("count", std::to_string(std::stoi(got.data) + 1), got.stamp);
                if (s == KS_OK) ++done;
                if (s != KS_OK && s != KS_CONFLICT) return 2;
            }
            return 0;
        }));
    }
    for (auto& child : children) EXPECT_EQ(child->await_end(), 0);
    EXPECT_EQ(files.read("count").data, std::to_string(kProcesses * kIncrements));
    EXPECT_EQ(folder.peek("count"), std::to_string(kProcesses * kIncrements));
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

// Processes that publish sets are killed at any instruction: after the next open the set on disk is whole.
TEST(FilesMany, NoTornSetIsLeft) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Folder folder;
    for (int round = 0; round < 12; ++round) {
        std::vector<std::unique_ptr<Child>> children;
        for (int i = 0; i < 2; ++i) {
            children.push_back(std::make_unique<Child>([&, round, i](const Child::Line& line) {
                const Files own(folder);
                line.ready();
                for (int step = 0;; ++step) {
                    const std::string text =
                        std::to_string(round) + "." + std::to_string(i) + "." + std::to_string(step);
                    ks_files_change changes[] = {change_of("a", text, own.stamp("a")),
                                                 change_of("d/b", text, own.stamp("d/b")),
                                                 change_of("c", text, own.stamp("c"))};
                    const ks_status s = ks_files_publish(own.get(), changes, 3, nullptr);
                    if (s != KS_OK && s != KS_CONFLICT && s != KS_FENCED) return 1;
                    if (step % 4 == 3) line.ready();
                }
                return 0;
            }));
        }
        for (auto& child : children) ASSERT_TRUE(child->await_ready());
        for (auto i = random() % 4; i > 0; --i) ASSERT_TRUE(children[i % 2]->await_ready());
        for (auto i = random() % 20000; i > 0; --i) (void)folder.path();  // some microseconds more or less
        for (auto& child : children) ASSERT_EQ(child->kill(), 128 + SIGKILL);
        const Files files(folder);
        EXPECT_EQ(folder.peek("a"), folder.peek("d/b")) << round;
        EXPECT_EQ(folder.peek("a"), folder.peek("c")) << round;
        EXPECT_THAT(folder.tickets(), IsEmpty());
    }
}

// Writes, removals and publishes of few contents on few paths, their processes killed at any instruction: whatever is
// found on disk afterwards is known as ours, and in the end store and disk agree.
TEST(FilesMany, NothingOfOursIsTakenForForeign) {
    const unsigned seed = std::random_device{}();
    std::mt19937 random(seed);
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Folder folder;
    const auto spawn = [&](unsigned own_seed) {
        return std::make_unique<Child>([&folder, own_seed](const Child::Line& line) {
            const Files own(folder);
            std::mt19937 dice(own_seed);
            for (int step = 0;; ++step) {
                const char* const path = dice() % 2 == 0 ? "a" : "d/b";
                const std::string content = dice() % 2 == 0 ? "one" : "two";
                ks_status s = KS_OK;
                switch (dice() % 4) {
                    case 0:
                        s = own.remove(path);
                        break;
                    case 1: {
                        ks_files_change changes[] = {change_of("a", content, own.stamp("a")),
                                                     change_of("d/b", "", own.stamp("d/b"), KS_FILES_REMOVE)};
                        s = ks_files_publish(own.get(), changes, 2, nullptr);
                        break;
                    }
                    default:
                        s = own.put(path, content);
                }
                if (s < 0 || s == KS_FOREIGN_EDIT) {
                    std::fprintf(stderr, "%s: %s %s\n", path, ks_status_name(s),
                                 s < 0 ? ks_last_error() : "");
                    return 1;
                }
                if (step % 8 == 7) line.ready();
            }
            return 0;
        });
    };
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 3; ++i) children.push_back(spawn(static_cast<unsigned>(random())));
    for (int round = 0; round < 30; ++round) {
        std::unique_ptr<Child>& victim = children[random() % children.size()];
        ASSERT_TRUE(victim->await_ready());
        for (auto i = random() % 200'000; i > 0; --i) (void)folder.path();  // some microseconds more or less
        ASSERT_EQ(victim->kill(), 128 + SIGKILL);
        victim = spawn(static_cast<unsigned>(random()));
    }
    for (auto& child : children) ASSERT_EQ(child->kill(), 128 + SIGKILL);
    const Files files(folder);
    for (const char* path : {"a", "d/b"}) {
        const Got got = files.read(path);
        EXPECT_TRUE(got.status == KS_OK || got.status == KS_NOT_FOUND) << path;
        EXPECT_EQ(got.status == KS_OK ? got.data : "(none)", folder.peek(path)) << path;
    }
    EXPECT_THAT(folder.tickets(), IsEmpty());
}

}  // namespace
}  // namespace keystile::testing
