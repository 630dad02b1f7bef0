#include "memory/region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace sluice {
namespace {

std::unique_ptr<Region> small(std::size_t bytes) {
  RegionOptions options;
  options.bytes = bytes;
  options.pages = PagePolicy::Off;
  auto region = Region::create(options);
  EXPECT_TRUE(region) << region.error().message;
  return std::move(region).value();
}

std::string scratch(const char* name) {
  return "/dev/shm/sluice-region-test-" + std::to_string(getpid()) + "-" + name;
}

TEST(Region, GivesZeroedAlignedSectionsUntilItIsFull) {
  auto region = small(1 << 20);
  EXPECT_EQ(region->pages(), PageKind::Small);
  EXPECT_TRUE(region->warning().empty());
  std::byte* first = region->allocate(100);
  std::byte* second = region->allocate(1, 4096);
  ASSERT_NE(first, nullptr);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 4096, 0U);
  EXPECT_GE(second, first + 100);
  EXPECT_TRUE(std::all_of(first, first + 100, [](std::byte b) { return b == std::byte{0}; }));
  EXPECT_EQ(region->at(region->offset(second)), second);
  const std::size_t rest = region->size() - region->used();
  EXPECT_EQ(region->allocate(rest + 1), nullptr);
  EXPECT_EQ(region->allocate(SIZE_MAX - 32), nullptr);
  EXPECT_EQ(region->allocate_array<std::uint64_t>(SIZE_MAX / 8), nullptr);
  EXPECT_EQ(region->allocate(64, 3), nullptr);
  EXPECT_NE(region->allocate(rest), nullptr);
  EXPECT_EQ(region->used(), region->size());
  EXPECT_EQ(region->allocate(1), nullptr);
}

TEST(Region, AutoAlwaysWorksAndSaysWhatItGot) {
  RegionOptions options;
  options.bytes = std::size_t{6} << 20;
  auto made = Region::create(options);
  ASSERT_TRUE(made) << made.error().message;
  auto region = std::move(made).value();
  const bool huge = region->pages() == PageKind::k1G || region->pages() == PageKind::k2M;
  EXPECT_EQ(region->warning().empty(), huge);
  if (!huge) {
    EXPECT_NE(region->warning().find("sysctl vm.nr_hugepages=3"), std::string::npos);
  }
  std::memset(region->base() + region->used(), 0xff, region->size() - region->used());
}

TEST(Region, TakesNoMemoryBeforeItIsTouched) {
  auto region = small(std::size_t{8} << 30);
  struct stat status{};
  ASSERT_EQ(fstat(region->fd(), &status), 0);
  EXPECT_EQ(status.st_size, off_t{8} << 30);
  EXPECT_LT(status.st_blocks * 512, 1 << 20);
}

TEST(Region, RefusesPagesThatAreNotThere) {
  RegionOptions options;
  options.bytes = std::size_t{1} << 37;  // no machine of ours has 128 reserved 1 GB pages
  options.pages = PagePolicy::k1G;
  auto region = Region::create(options);
  ASSERT_FALSE(region);
  EXPECT_EQ(region.error().field, "workers.hugepages");
  EXPECT_NE(region.error().message.find("echo 128 >"), std::string::npos);
}

TEST(Region, RefusesImpossibleSizes) {
  EXPECT_FALSE(Region::create({.bytes = 0}));
  EXPECT_FALSE(Region::create({.bytes = Region::kBytesMax + 1}));
}

TEST(Region, PopulateTouchesTheSectionAndKeepsItsContent) {
  RegionOptions options;
  options.bytes = std::size_t{16} << 20;
  auto region = std::move(Region::create(options)).value();
  std::byte* section = region->allocate(std::size_t{8} << 20);
  ASSERT_NE(section, nullptr);
  std::memset(section, 0x5a, 5000);
  const std::size_t huge = region->populate(section, std::size_t{8} << 20);
  EXPECT_LE(huge, std::size_t{8} << 20);
  EXPECT_EQ(section[4999], std::byte{0x5a});
  EXPECT_EQ(section[5000], std::byte{0});
  struct stat status{};
  ASSERT_EQ(fstat(region->fd(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, 8 << 20);
}

TEST(Region, BindsToANodeThatExistsAndRefusesOneThatDoesNot) {
  auto region = small(1 << 20);
  std::byte* section = region->allocate(64 * 1024);
  auto bound = region->bind(section, 64 * 1024, 0);
  if (!bound) {
    GTEST_SKIP() << "no NUMA policies here: " << bound.error().message;
  }
  EXPECT_FALSE(region->bind(section, 64 * 1024, 999));
  EXPECT_FALSE(region->bind(section, 64 * 1024, -1));
  section[0] = std::byte{1};
}

TEST(Region, AFileOutlivesTheRegionAndIsAttachedReadOnly) {
  RegionOptions options;
  options.bytes = 1 << 20;
  options.pages = PagePolicy::Off;
  options.path = scratch("file");
  std::size_t used = 0;
  {
    auto made = Region::create(options);
    ASSERT_TRUE(made) << made.error().message;
    auto region = std::move(made).value();
    auto* usage = region->allocate_array<std::uint64_t>(100);
    usage[99] = 42;
    region->name_section(RegionSection::Usage, usage, 800);
    used = region->used();
  }
  auto attached = Region::attach(options.path);
  ASSERT_TRUE(attached) << attached.error().message;
  auto old = std::move(attached).value();
  EXPECT_EQ(old->used(), used);
  EXPECT_EQ(old->allocate(64), nullptr);
  EXPECT_TRUE(old->find(RegionSection::Sessions).empty());
  const auto section = old->find(RegionSection::Usage);
  ASSERT_EQ(section.size(), 800U);
  EXPECT_EQ(reinterpret_cast<const std::uint64_t*>(section.data())[99], 42U);

  // A new region replaces the file; whoever has the old one still reads it.
  auto fresh = Region::create(options);
  ASSERT_TRUE(fresh) << fresh.error().message;
  EXPECT_TRUE(fresh.value()->find(RegionSection::Usage).empty());
  EXPECT_EQ(reinterpret_cast<const std::uint64_t*>(section.data())[99], 42U);
  unlink(options.path.c_str());
}

TEST(Region, AttachRefusesWhatIsNoRegion) {
  EXPECT_FALSE(Region::attach(scratch("absent")));
  const std::string path = scratch("damaged");
  auto write = [&](std::size_t bytes, std::uint32_t version, std::uint64_t size) {
    std::string content(bytes, '\0');
    const std::uint64_t magic = Region::kMagic;
    if (bytes >= 32) {
      std::memcpy(content.data(), &magic, 8);
      std::memcpy(content.data() + 8, &version, 4);
      std::memcpy(content.data() + 16, &size, 8);
    }
    std::FILE* file = std::fopen(path.c_str(), "w");
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
  };
  write(10, 0, 0);
  EXPECT_NE(Region::attach(path).error().message.find("too short"), std::string::npos);
  write(4096, Region::kVersion + 1, 4096);
  EXPECT_NE(Region::attach(path).error().message.find("version 2"), std::string::npos);
  write(4096, Region::kVersion, 8192);
  EXPECT_NE(Region::attach(path).error().message.find("damaged"), std::string::npos);
  unlink(path.c_str());
}

TEST(Region, AFileElsewhereIsRefusedAndLeavesNothingBehind) {
  RegionOptions options;
  options.bytes = 1 << 20;
  options.path = "/sluice-no-such-folder/region";
  EXPECT_FALSE(Region::create(options));
  options.path = "/proc/self/region";
  EXPECT_FALSE(Region::create(options));
}

TEST(Region, NobodyCanShrinkTheMemory) {
  auto region = small(1 << 20);
  EXPECT_NE(ftruncate(region->fd(), 4096), 0);
  region->base()[(1 << 20) - 1] = std::byte{1};
}

}  // namespace
}  // namespace sluice
