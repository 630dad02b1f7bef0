#include "crypto/tier.h"

#include <gtest/gtest.h>

namespace sluice::crypto {
namespace {
constexpr CpuFeatures kOld{};
constexpr CpuFeatures kAvx2{.avx2 = true, .aes = true};
constexpr CpuFeatures kGfni{.avx2 = true, .aes = true, .gfni = true};
/// AVX-512 alone, as the first servers had it.
constexpr CpuFeatures kWide{.avx2 = true, .avx512bw = true, .aes = true};
constexpr CpuFeatures kAll{
    .avx2 = true, .avx512bw = true, .aes = true, .gfni = true, .vpclmulqdq = true};

TEST(Tier, TheBestThatRunsIsChosen) {
  EXPECT_EQ(choose_tier("", kOld).value(), Tier::Portable);
  EXPECT_EQ(choose_tier("", kAvx2).value(), Tier::Avx2);
  EXPECT_EQ(choose_tier("", kGfni).value(), Tier::Avx2Gfni);
  EXPECT_EQ(choose_tier("", kWide).value(), Tier::Avx2);
  EXPECT_EQ(choose_tier("", kAll).value(), Tier::Avx512);
}

TEST(Tier, OneThatRunsCanBeForced) {
  for (const Tier tier : kTiers) EXPECT_EQ(choose_tier(tier_name(tier), kAll).value(), tier);
}

TEST(Tier, OneThatDoesNotRunIsRefused) {
  auto refused = choose_tier("avx512", kAvx2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "this processor cannot run the tier avx512");
}

TEST(Tier, AnUnknownNameIsRefusedWithThoseThereAre) {
  auto refused = choose_tier("AVX2", kAll);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "no tier is called AVX2; there are portable, avx2, avx2-gfni, avx512");
}
}  // namespace
}  // namespace sluice::crypto
