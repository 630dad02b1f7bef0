// Token buckets against 128-bit arithmetic.
#include "session/policer.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice {
namespace {

constexpr std::uint32_t kFastest = 400'000'000;  // 400 Gbit/s in kbit/s

TEST(Policer, DepthIsFiftyMillisecondsButTwoPacketsAtLeast) {
  EXPECT_EQ(bucket_depth(1), 3000 * kMicrobitsPerByte);
  EXPECT_EQ(bucket_depth(480), 480 * kBucketNanoseconds) << "50 ms of 480 kbit/s are 3,000 bytes";
  EXPECT_EQ(bucket_depth(479), 3000 * kMicrobitsPerByte);
  EXPECT_EQ(bucket_depth(kFastest), 2'500'000'000 * kMicrobitsPerByte);
  EXPECT_EQ(bucket_depth(0), 3000 * kMicrobitsPerByte);
}

TEST(Policer, RefillIsExact) {
  std::mt19937_64 random(1);
  unsigned shorter = 0, full = 0, longer = 0;
  for (unsigned step = 0; step < 4'000'000; ++step) {
    const auto rate = static_cast<std::uint32_t>(1 + (random() >> random() % 64) % kFastest);
    const std::uint64_t depth = bucket_depth(rate);
    const std::uint64_t tokens = random() % 4 == 0 ? 0 : random() % (depth + 1);
    Nanoseconds elapsed = random() >> random() % 64;
    if (step % 64 == 0) elapsed = kRefillShortNanoseconds - 2 + step / 64 % 5;
    const auto exact = static_cast<unsigned __int128>(rate) * elapsed + tokens;
    const std::uint64_t wanted = exact > depth ? depth : static_cast<std::uint64_t>(exact);
    ASSERT_EQ(refill(tokens, rate, elapsed), wanted) << rate << " " << tokens << " " << elapsed;
    shorter += exact < depth;
    full += exact >= depth;
    longer += elapsed >= kRefillShortNanoseconds;
  }
  // The draw has to visit every branch.
  EXPECT_GT(shorter, 10'000u);
  EXPECT_GT(full, 10'000u);
  EXPECT_GT(longer, 10'000u);
}

TEST(Policer, ManyShortStepsAreOneLongOne) {
  std::mt19937_64 random(2);
  for (const std::uint32_t rate : {1u, 7u, 64u, 1000u, 999'999u, kFastest}) {
    std::uint64_t tokens = 0;
    Nanoseconds total = 0;
    for (unsigned i = 0; i < 10'000; ++i) {
      const Nanoseconds step = random() % 3000;
      tokens = refill(tokens, rate, step);
      total += step;
    }
    EXPECT_EQ(tokens, refill(0, rate, total)) << rate;
  }
}

}  // namespace
}  // namespace sluice
