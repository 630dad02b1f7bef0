// The TEID scheme, exhaustively: the allocating side's permutation, and its inverse here.
#include "session/teid.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace sluice {
namespace {

constexpr std::uint32_t kMask = 0xffffff;
using Key = std::array<std::uint32_t, 5>;

/// As the control plane allocates.
std::uint32_t permute(unsigned bucket, std::uint32_t x, const Key& key) {
  x = (x ^ key[0] ^ bucket * key[4]) & kMask;
  x = x * (key[1] | 1) & kMask;
  x ^= x >> 12;
  x = x * (key[2] | 1) & kMask;
  x ^= x >> 12;
  return x * (key[3] | 1) & kMask;
}

TEST(TeidScheme, TheCandidateInvertsABijection) {
  std::mt19937 random(9);
  std::vector<Key> keys{{0, 0, 0, 0, 0}, {~0u, ~0u, ~0u, ~0u, ~0u}, {1, 2, 3, 4, 0}};
  for (unsigned i = 0; i < 3; ++i) {
    keys.push_back({static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()),
                    static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()),
                    static_cast<std::uint32_t>(random())});
  }
  unsigned bucket = 0;
  for (const Key& key : keys) {
    constexpr unsigned kSlotBits = 13;
    constexpr std::uint32_t kSlots = 5000;
    const TeidScheme scheme(key, kSlotBits, kSlots);
    std::vector<bool> seen(kMask + 1);
    for (std::uint32_t plain = 0; plain <= kMask; ++plain) {
      const std::uint32_t permuted = permute(bucket, plain, key);
      ASSERT_FALSE(seen[permuted]) << plain;
      seen[permuted] = true;
      const std::uint32_t slot = plain & ((1u << kSlotBits) - 1);
      const SessionIndex wanted = slot < kSlots ? bucket * kSlots + slot : kNoSession;
      ASSERT_EQ(scheme.candidate(Teid{bucket << 24 | permuted}), wanted) << plain;
    }
    bucket = (bucket * 2 + 63) % kBuckets;
  }
}

TEST(TeidScheme, ABurstIsItsTeidsOneByOne) {
  std::mt19937 random(4);
  const auto word = [&] { return static_cast<std::uint32_t>(random()); };
  unsigned found = 0, none = 0;
  for (unsigned round = 0; round < 2000; ++round) {
    const unsigned slot_bits = 6 + random() % 11;
    const std::uint32_t slots = 1 + random() % (1u << slot_bits);
    const TeidScheme scheme({word(), word(), word(), word(), word()}, slot_bits, slots);
    std::uint32_t teids[64];
    SessionIndex sessions[64];
    for (std::uint32_t& teid : teids) teid = word();
    const unsigned count = random() % 65;
    scheme.candidates(teids, sessions, count);
    for (unsigned i = 0; i < count; ++i) {
      const SessionIndex wanted = scheme.candidate(Teid{teids[i]});
      ASSERT_EQ(sessions[i], wanted) << round << " " << i;
      ++(wanted == kNoSession ? none : found);
    }
  }
  EXPECT_GT(found, 10'000u);
  EXPECT_GT(none, 10'000u);
}

TEST(TeidScheme, BucketIsADivision) {
  for (const std::uint32_t slots : {1u, 3u, 7u, 64u, 1000u, 3915u, 40'001u, 65'535u}) {
    const TeidScheme scheme({1, 2, 3, 4, 5}, 16, slots);
    ASSERT_EQ(scheme.sessions(), slots * kBuckets);
    for (std::uint32_t index = 0; index <= kSessionIndexMax; ++index) {
      ASSERT_EQ(scheme.bucket(index), index / slots) << slots;
    }
  }
}

}  // namespace
}  // namespace sluice
