// keystile_files.hpp over keystile_files.h: each call once, and what it answers.
#include <keystile_files.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "cpp_support.hpp"

namespace cpp_test {
namespace {

class CppFiles : public testing::Test {
protected:
    void SetUp() override {
        char name[] = "/dev/shm/keystile-cpp-files-XXXXXX";
        root_ = ::mkdtemp(name);
    }
    void TearDown() override {
        (void)ks_destroy(("file:" + root_ + "/.keystile").c_str(), KS_DESTROY_FORCE);
        std::filesystem::remove_all(root_);
    }
    std::string root_;
};

TEST_F(CppFiles, AnswersAreValues) {
    EXPECT_THROW((void)keystile::Files::open(root_ + "/absent"), keystile::Error);
    EXPECT_EQ(keystile::Files::try_open(root_ + "/absent").status, KS_E_PATH);
    const keystile::Files files = keystile::Files::open(root_);
    EXPECT_EQ(files.read("f").outcome(), keystile::Outcome::not_found);
    const keystile::Receipt first = files.write("f", "one", {});
    ASSERT_TRUE(first);
    EXPECT_EQ(files.read("f").value, "one");
    EXPECT_EQ(files.write("f", "two", {}).outcome(), keystile::Outcome::conflict);
    EXPECT_EQ(files.write("../f", "two", {}).status, KS_E_PATH);
    EXPECT_EQ(files.write(std::string("f\0g", 3), "two", first.stamp).status, KS_E_PATH);
    std::ofstream(root_ + "/f") << "edited";
    EXPECT_EQ(files.write("f", "two", first.stamp).outcome(), keystile::Outcome::foreign_edit);
    EXPECT_EQ(files.update("f", [](std::string_view) { return std::string(); }).outcome(),
              keystile::Outcome::foreign_edit);
    EXPECT_TRUE(files.restore("f"));
    EXPECT_EQ(files.read("f").value, "one");
    std::ofstream(root_ + "/f") << "edited";
    EXPECT_TRUE(files.adopt("f"));
    const keystile::Read seen = files.read("f");
    EXPECT_EQ(seen.value, "edited");
    using Change = keystile::Files::Change;
    const auto refused = files.publish({Change::write("a", "1", {}), Change::expect("f", first.stamp)});
    EXPECT_EQ(refused.outcome(), keystile::Outcome::conflict);
    EXPECT_EQ(refused.changes[1].status, KS_CONFLICT);
    EXPECT_EQ(files.read("a").outcome(), keystile::Outcome::not_found);
    EXPECT_TRUE(files.publish({Change::write("a", "1", {}), Change::remove("f", seen.stamp)}));
    EXPECT_EQ(files.read("a").value, "1");
    EXPECT_TRUE(files.remove("a", files.read("a").stamp));
    EXPECT_FALSE(std::filesystem::exists(root_ + "/a"));
}

TEST_F(CppFiles, NoUpdateOfAThreadIsLost) {
    const keystile::Files files = keystile::Files::open(root_);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
        threads.emplace_back([&files] {
            for (int n = 0; n < 10; ++n) EXPECT_TRUE(files.update("count", plus_one));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(files.read("count").value, "30");
}

}  // namespace
}  // namespace cpp_test
