#include "memory/region_place.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace sluice {
namespace {

const std::vector<Mount> kMounts = parse_mounts(
    "overlay / overlay rw,relatime 0 0\n"
    "tmpfs /dev tmpfs rw,nosuid 0 0\n"
    "tmpfs /dev/shm tmpfs rw,huge=advise 0 0\n"
    "none /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n"
    "none /mnt/huge1g hugetlbfs rw,pagesize=1024M 0 0\n"
    "tmpfs /run tmpfs rw,size=10% 0 0\n");

using Places = std::vector<std::string>;

class RegionPlaceTest : public ::testing::Test {
 protected:
  void SetUp() override { unsetenv("RUNTIME_DIRECTORY"); }
};

TEST_F(RegionPlaceTest, HugePagesFirstThenMemory) {
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::Auto),
            (Places{"/mnt/huge1g/r", "/dev/hugepages/r", "/dev/shm/r"}));
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::Off), (Places{"/dev/shm/r"}));
}

TEST_F(RegionPlaceTest, PagesAskedForByNameAreNotGivenUp) {
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::k2M), (Places{"/dev/hugepages/r"}));
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::k1G), (Places{"/mnt/huge1g/r"}));
  EXPECT_TRUE(region_places({}, "r", PagePolicy::k1G).empty());
}

TEST_F(RegionPlaceTest, TheServiceManagersFolderWhenItIsMemory) {
  setenv("RUNTIME_DIRECTORY", "/run/sluice:/run/other", 1);
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::Off), (Places{"/run/sluice/r", "/dev/shm/r"}));
  setenv("RUNTIME_DIRECTORY", "/var/on-disk", 1);
  EXPECT_EQ(region_places(kMounts, "r", PagePolicy::Off), (Places{"/dev/shm/r"}));
  unsetenv("RUNTIME_DIRECTORY");
}

TEST_F(RegionPlaceTest, HugePagesOfATmpfsAreItsMountsOption) {
  EXPECT_TRUE(tmpfs_gives_huge_pages(kMounts, "/dev/shm/r"));
  EXPECT_FALSE(tmpfs_gives_huge_pages(kMounts, "/dev/shmother/r"));
  EXPECT_FALSE(tmpfs_gives_huge_pages(kMounts, "/run/sluice/r"));
}

}  // namespace
}  // namespace sluice
