// Size classes: every size has the smallest class that holds it.
#include <gtest/gtest.h>

#include "arena/arena.hpp"

namespace keystile::engine {

namespace {

TEST(SizeClass, EverySizeFitsAndNoSmallerClassWouldDo) {
    for (std::uint64_t bytes = 1; bytes <= kClassBytesMax; ++bytes) {
        const SizeClass size_class = class_of(bytes);
        ASSERT_LT(size_class, kClasses) << bytes;
        ASSERT_GE(bytes_of(size_class), bytes);
        if (size_class > 0) {
            ASSERT_LT(bytes_of(size_class - 1), bytes) << bytes;
        }
    }
}

TEST(SizeClass, ClassesGrowAndAreMultiplesOfTheRefUnit) {
    for (SizeClass size_class = 1; size_class < kClasses; ++size_class) {
        EXPECT_GT(bytes_of(size_class), bytes_of(size_class - 1));
        EXPECT_EQ(bytes_of(size_class) % kRefUnit, 0u);
        EXPECT_EQ(class_of(bytes_of(size_class)), size_class);
    }
}

TEST(SizeClass, AtMostAFifthIsPaddingFromTheFifthClassOn) {
    for (SizeClass size_class = 4; size_class < kClasses; ++size_class) {
        const std::uint64_t smallest = bytes_of(size_class - 1) + 1;
        EXPECT_LE((bytes_of(size_class) - smallest) * 5, bytes_of(size_class));
    }
}

}  // namespace

}  // namespace keystile::engine
