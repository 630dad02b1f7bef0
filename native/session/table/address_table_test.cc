// Tables by address against std::map, and readers that never miss a key nobody touches.
#include "session/table/address_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace sluice {
namespace {

constexpr HashSecret kSecret{0x243f6a8885a308d3, 0x13198a2e03707345};

template <typename Line>
struct Bed {
  using Table = AddressTable<Line>;
  explicit Bed(std::uint32_t keys)
      : memory(std::aligned_alloc(kCacheLine, Table::bytes(keys)), &std::free),
        table((std::memset(memory.get(), 0, Table::bytes(keys)), memory.get()), keys, kSecret),
        shift(64 - std::countr_zero(Table::lines(keys))) {}
  std::uint64_t home(std::uint64_t key) const { return kSecret(key) >> shift; }
  /// The n-th of the keys that live in line 3.
  std::vector<std::uint64_t> neighbours(unsigned n) const {
    std::vector<std::uint64_t> keys;
    for (std::uint64_t key = 1; keys.size() < n; ++key) {
      if (home(key) == 3) keys.push_back(key);
    }
    return keys;
  }
  std::unique_ptr<void, decltype(&std::free)> memory;
  Table table;
  int shift;
};

template <typename Line>
class AddressTableTest : public ::testing::Test {};
using Lines = ::testing::Types<CompactLine, WideLine>;
TYPED_TEST_SUITE(AddressTableTest, Lines);

TYPED_TEST(AddressTableTest, AgreesWithAMap) {
  constexpr std::uint32_t kKeys = 3000;
  Bed<TypeParam> bed(kKeys);
  std::map<std::pair<std::uint64_t, unsigned>, SessionIndex> model;
  std::mt19937_64 random(7);
  for (unsigned step = 0; step < 400'000; ++step) {
    // Few values, so that keys meet again with other qualifiers; 0 and the largest are keys too.
    std::uint64_t key = random() % 4500;
    if (key == 4499) key = 0xffffffff;
    const auto qualifier = static_cast<std::uint8_t>(random() % 8 == 0 ? 255 : 0);
    const auto place = std::pair{key, unsigned{qualifier}};
    const auto there = model.find(place);
    SessionIndex found = kNoSession;
    ASSERT_EQ(bed.table.find(key, qualifier, found), there != model.end());
    if (there != model.end()) {
      ASSERT_EQ(found, there->second);
      if (random() % 2) {
        ASSERT_TRUE(bed.table.erase(key, qualifier));
        model.erase(there);
        ASSERT_FALSE(bed.table.erase(key, qualifier));
      }
    } else if (model.size() < kKeys) {
      const auto session = static_cast<SessionIndex>(
          random() % 8 == 0 ? kSessionIndexMax - 1 : random() % kSessionIndexMax);
      ASSERT_TRUE(bed.table.insert(key, qualifier, session));
      model[place] = session;
    }
  }
  EXPECT_GT(model.size(), 1000u);
}

TYPED_TEST(AddressTableTest, ChainsGrowEndAndGiveTheirLinesBack) {
  Bed<TypeParam> bed(32);
  constexpr unsigned kHeld = TypeParam::kEntries * (Bed<TypeParam>::Table::kChainMax + 1);
  static_assert(kHeld % 5 != 0, "steps of 5 visit all");
  const auto keys = bed.neighbours(kHeld + 1);
  for (unsigned round = 0; round < 100; ++round) {
    for (unsigned i = 0; i < kHeld; ++i) ASSERT_TRUE(bed.table.insert(keys[i], 1, i)) << i;
    ASSERT_FALSE(bed.table.insert(keys[kHeld], 1, kHeld)) << "a reader would not get there";
    SessionIndex found = kNoSession;
    ASSERT_FALSE(bed.table.find(keys[kHeld], 1, found));
    for (unsigned i = 0; i < kHeld; ++i) {
      ASSERT_TRUE(bed.table.find(keys[i], 1, found)) << i;
      ASSERT_EQ(found, i);
    }
    // From the front, the back and the middle: emptied lines in the midst of a chain.
    for (unsigned n = 0; n < kHeld; ++n) {
      const unsigned i = round % 3 == 0 ? n : round % 3 == 1 ? kHeld - 1 - n : n * 5 % kHeld;
      ASSERT_TRUE(bed.table.erase(keys[i], 1)) << i;
    }
    for (unsigned i = 0; i < kHeld; ++i) ASSERT_FALSE(bed.table.find(keys[i], 1, found));
  }
}

TYPED_TEST(AddressTableTest, ReadersNeverMissTheirOwn) {
  Bed<TypeParam> bed(256);
  // Own and foreign keys share lines and chains.
  const auto keys = bed.neighbours(5 * TypeParam::kEntries);
  std::vector<std::uint64_t> own, foreign;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool mine = i % 3 == 0;
    (mine ? own : foreign).push_back(keys[i]);
    ASSERT_TRUE(bed.table.insert(keys[i], 2, static_cast<SessionIndex>(keys[i])));
  }
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> misses{0}, mixups{0}, rounds{0};
  std::thread reader([&] {
    while (!done.load(std::memory_order_relaxed)) {
      SessionIndex found = kNoSession;
      for (const std::uint64_t key : own) {
        if (!bed.table.find(key, 2, found)) ++misses;
        if (found != key) ++mixups;
      }
      // What comes and goes: an entry of 8 bytes is read whole, one of 16 is checked by its flow.
      for (const std::uint64_t key : foreign) {
        const bool there = bed.table.find(key, 2, found);
        if (std::is_same_v<TypeParam, CompactLine> && there && found != key) ++mixups;
      }
      ++rounds;
    }
  });
  while (rounds == 0) std::this_thread::yield();
  std::mt19937_64 random(3);
  std::vector<bool> present(foreign.size(), true);
  for (unsigned step = 0; step < 200'000; ++step) {
    const std::size_t i = random() % foreign.size();
    if (present[i]) {
      ASSERT_TRUE(bed.table.erase(foreign[i], 2));
    } else {
      ASSERT_TRUE(bed.table.insert(foreign[i], 2, static_cast<SessionIndex>(foreign[i])));
    }
    present[i] = !present[i];
    if (step % 4096 == 0) std::this_thread::yield();
  }
  done = true;
  reader.join();
  EXPECT_EQ(misses, 0u);
  EXPECT_EQ(mixups, 0u);
}

}  // namespace
}  // namespace sluice
