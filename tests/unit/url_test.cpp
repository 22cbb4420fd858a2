// Store URLs.
#include <gtest/gtest.h>

#include <string>

#include "abi/url.hpp"  // tidy-allow(include): the parser alone, without a store

namespace keystile::engine::abi {

namespace {

TEST(Url, ANameAloneLiesInSharedMemory) {
    Place place;
    ASSERT_EQ(parse_url("shm:jobs", &place), KS_OK);
    EXPECT_EQ(place.folder, "/dev/shm");
    EXPECT_EQ(place.file, "keystile.jobs");
}

TEST(Url, AnAbsolutePathNamesFolderAndStore) {
    Place place;
    ASSERT_EQ(parse_url("shm:/mnt/huge/a-b_c.1", &place), KS_OK);
    EXPECT_EQ(place.folder, "/mnt/huge");
    EXPECT_EQ(place.file, "keystile.a-b_c.1");
    ASSERT_EQ(parse_url("shm:/jobs", &place), KS_OK);
    EXPECT_EQ(place.folder, "/");
}

TEST(Url, OtherTextsAreRefused) {
    Place place;
    for (const char* const url :
         {"", "jobs", "shm:", "file:x", "etcd://host/x", "shm:folder/jobs", "shm:/folder/", "shm:.hidden",
          "shm:/x/..", "shm:a b", "shm:a\nb", "shm:jobs\xC3\xA9", "SHM:jobs"}) {
        EXPECT_EQ(parse_url(url, &place), KS_E_URL) << url;
    }
}

TEST(Url, NamesEndAtTheirLimit) {
    Place place;
    EXPECT_EQ(parse_url(("shm:" + std::string(KS_NAME_SIZE_MAX, 'n')).c_str(), &place), KS_OK);
    EXPECT_EQ(parse_url(("shm:" + std::string(KS_NAME_SIZE_MAX + 1, 'n')).c_str(), &place), KS_E_URL);
    EXPECT_EQ(parse_url(("shm:/" + std::string(4'000, 'd') + "/n").c_str(), &place), KS_E_URL);
}

}  // namespace

}  // namespace keystile::engine::abi
