// Each operation x each named crash point it passes: a process is killed there, and, in a second run,
// stopped there while the others work. Property, after each: survivors finish their own work on the same
// key and others; the victim's operation either took place or did not, exactly as its place says; every OK
// commit is one version; `check` is clean and no block is lost or shared after the reaping.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "crash/world.hpp"

namespace keystile::testing {

namespace {

// In the ordinary run, cells of points that an operation passes very often are thinned out: the first, the
// last, and some.
constexpr int kOccurrencesMax = 6;

bool is_chosen(const std::vector<std::string>& points, std::size_t index) {
    const auto before =
        std::count(points.begin(), points.begin() + static_cast<std::ptrdiff_t>(index), points[index]);
    const auto behind =
        std::count(points.begin() + static_cast<std::ptrdiff_t>(index), points.end(), points[index]) - 1;
    return before < kOccurrencesMax || behind == 0;
}

std::size_t first_cell(const Operation& op, const std::vector<std::string>& points) {
    if (op.pause_at.empty()) return 0;
    const auto pause = std::find(points.begin(), points.end(), op.pause_at);
    return static_cast<std::size_t>(pause - points.begin()) + 1;
}

class CrashMatrix : public ::testing::TestWithParam<const Operation*> {
protected:
    template <class Cell>
    void for_each_cell(Cell cell) {
        const Operation& op = *GetParam();
        const std::vector<std::string> points = points_of(op);
        int cells = 0;
        for (std::size_t i = first_cell(op, points); i < points.size(); ++i) {
            if (!is_chosen(points, i)) continue;
            ++cells;
            const std::string wrong = cell(op, points, i);
            EXPECT_EQ(wrong, "") << op.name << ", at " << points[i] << " (" << i + 1 << " of "
                                 << points.size() << ")";
        }
        RecordProperty("cells", cells);
        std::printf("%s: %d cells\n", op.name, cells);
    }
};

TEST_P(CrashMatrix, KilledAtEachPoint) {
    for_each_cell(killed_at);
}
TEST_P(CrashMatrix, StoppedAtEachPoint) {
    for_each_cell(stopped_at);
}

std::vector<const Operation*> all_operations() {
    std::vector<const Operation*> all;
    for (const Operation& op : operations()) all.push_back(&op);
    return all;
}

INSTANTIATE_TEST_SUITE_P(Operations, CrashMatrix, ::testing::ValuesIn(all_operations()),
                         [](const auto& test) { return std::string(test.param->name); });

// Points of operations that make or end a whole store: store_life_test.cpp.
const std::set<std::string> kOfStoreLife = {"segment.create.before_link", "segment.destroy.before_unlink",
                                            "operations.destroy.before_history",
                                            "operations.destroy.before_segment"};

// Points of a durable store's files: disk/death_test.cpp.
const std::set<std::string> kOfFiles = {
    "operations.flush.before_cursor", "operations.flush.before_durable",   "operations.flush.before_leave",
    "operations.flush.before_wake",   "operations.checkpoint.before_gate", "operations.recover.before_place"};

TEST(CrashPoints, EachOneIsPassedByAnOperationOfTheMatrix) {
    std::set<std::string> passed = kOfStoreLife;
    passed.insert(kOfFiles.begin(), kOfFiles.end());
    passed.insert(
        "operations.commit.inside_line");  // only with the guard commit.line_order off: guard_test.cpp
    for (const Operation& op : operations())
        passed.merge([&] {
            const std::vector<std::string> points = points_of(op);
            return std::set<std::string>(points.begin(), points.end());
        }());
    for (const std::string& point : points_of_engine()) {
        if (point.starts_with("files.")) continue;  // tests/plain/crash_test.cpp
        EXPECT_TRUE(passed.contains(point)) << point;
    }
}

}  // namespace

}  // namespace keystile::testing
