// The rules arena: nothing overlaps, everything comes back, lines start on lines.
#include "session/rules_arena.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace sluice {
namespace {

constexpr std::size_t kBytes = std::size_t{4} << 20;
constexpr std::size_t kBefore = 4096;  // the section is not where offsets count from

struct Bed {
  std::unique_ptr<std::byte, decltype(&std::free)> memory{
      static_cast<std::byte*>(std::aligned_alloc(4096, kBefore + kBytes)), &std::free};
  RulesArena arena{memory.get(), memory.get() + kBefore, kBytes};
};

TEST(RulesArena, ObjectsNeverOverlap) {
  struct Object {
    ArenaRef ref;
    std::size_t bytes;
    int pattern;
  };
  Bed bed;
  std::vector<Object> objects;
  std::mt19937 random(5);
  std::size_t refused = 0;
  const auto check_and_free = [&](std::size_t i) {
    const Object o = objects[i];
    const auto* bytes = bed.arena.at<std::uint8_t>(o.ref);
    for (std::size_t k = 0; k < o.bytes; ++k) ASSERT_EQ(bytes[k], o.pattern) << k;
    bed.arena.free(o.ref, o.bytes);
    objects[i] = objects.back();
    objects.pop_back();
  };
  for (unsigned step = 0; step < 100'000; ++step) {
    if (random() % 2 == 0 && !objects.empty()) {
      check_and_free(random() % objects.size());
      continue;
    }
    const std::size_t bytes = 1 + random() % (random() % 50 == 0 ? 40'000 : 400);
    const ArenaRef ref = bed.arena.allocate(bytes);
    if (ref == 0) {
      ++refused;
      if (!objects.empty()) check_and_free(random() % objects.size());
      continue;
    }
    auto* at = bed.arena.at<std::byte>(ref);
    ASSERT_GE(at, bed.memory.get() + kBefore);
    ASSERT_LE(at + bytes, bed.memory.get() + kBefore + kBytes);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % (bytes % 64 == 0 ? 64 : 8), 0u) << bytes;
    const int pattern = static_cast<int>(random() % 256);
    std::memset(at, pattern, bytes);
    objects.push_back({ref, bytes, pattern});
    std::size_t least = 0;
    for (const Object& o : objects) least += o.bytes;
    ASSERT_GE(bed.arena.live(), least);
    ASSERT_GE(bed.arena.used(), bed.arena.live());
  }
  while (!objects.empty()) check_and_free(objects.size() - 1);
  EXPECT_EQ(bed.arena.live(), 0u);
  EXPECT_EQ(refused, 0u) << "equal sizes are used again, so this load always fits";
}

TEST(RulesArena, FullSaysSoAndRecovers) {
  Bed bed;
  std::vector<ArenaRef> refs;
  while (const ArenaRef ref = bed.arena.allocate(1024)) refs.push_back(ref);
  EXPECT_EQ(refs.size(), kBytes / 1024);
  EXPECT_EQ(bed.arena.allocate(8), 0u);
  for (const ArenaRef ref : refs) bed.arena.free(ref, 1024);
  EXPECT_EQ(bed.arena.live(), 0u);
  for (std::size_t i = 0; i < refs.size(); ++i) ASSERT_NE(bed.arena.allocate(1024), 0u);
}

TEST(RulesArena, WhatNobodyCouldHold) {
  Bed bed;
  EXPECT_EQ(bed.arena.allocate(0), 0u);
  EXPECT_EQ(bed.arena.allocate(RulesArena::kBytesMax + 1), 0u);
  const ArenaRef largest = bed.arena.allocate(RulesArena::kBytesMax);
  ASSERT_NE(largest, 0u);
  bed.arena.free(largest, RulesArena::kBytesMax);
  bed.arena.free(0, 64);
  EXPECT_EQ(bed.arena.live(), 0u);
}

}  // namespace
}  // namespace sluice
