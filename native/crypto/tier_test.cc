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
constexpr CpuFeatures kArm{.pmull = true};
constexpr CpuFeatures kArmOfSm{.pmull = true, .sm3 = true, .sm4 = true};
/// No processor is so; a virtual machine may be told that it is.
constexpr CpuFeatures kArmOfSm4Alone{.pmull = true, .sm4 = true};

TEST(Tier, TheBestThatRunsIsChosen) {
  EXPECT_EQ(choose_tier("", kOld).value(), Tier::Portable);
  EXPECT_EQ(choose_tier("", kAvx2).value(), Tier::Avx2);
  EXPECT_EQ(choose_tier("", kGfni).value(), Tier::Avx2Gfni);
  EXPECT_EQ(choose_tier("", kWide).value(), Tier::Avx2);
  EXPECT_EQ(choose_tier("", kAll).value(), Tier::Avx512);
  EXPECT_EQ(choose_tier("", kArm).value(), Tier::Armv8Aes);
  EXPECT_EQ(choose_tier("", kArmOfSm).value(), Tier::Armv8Sm4);
  EXPECT_EQ(choose_tier("", kArmOfSm4Alone).value(), Tier::Armv8Aes);
}

TEST(Tier, OneThatRunsCanBeForced) {
  for (const CpuFeatures& features : {kAll, kArmOfSm}) {
    for (const Tier tier : kTiers) {
      if (tier_runs_on(tier, features)) {
        EXPECT_EQ(choose_tier(tier_name(tier), features).value(), tier);
      }
    }
  }
  EXPECT_EQ(choose_tier("portable", kAll).value(), Tier::Portable);
  EXPECT_EQ(choose_tier("armv8-aes", kArmOfSm).value(), Tier::Armv8Aes);
}

TEST(Tier, OneThatDoesNotRunIsRefused) {
  auto refused = choose_tier("avx512", kAvx2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "this processor cannot run the tier avx512");
  EXPECT_FALSE(choose_tier("armv8-aes", kAll));
  EXPECT_FALSE(choose_tier("avx2", kArmOfSm));
}

TEST(Tier, AnUnknownNameIsRefusedWithThoseThereAre) {
  auto refused = choose_tier("AVX2", kAll);
  ASSERT_FALSE(refused);
  EXPECT_EQ(
      refused.error().message,
      "no tier is called AVX2; there are portable, avx2, avx2-gfni, avx512, armv8-aes, armv8-sm4");
}
}  // namespace
}  // namespace sluice::crypto
