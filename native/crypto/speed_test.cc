#include "crypto/speed.h"

#include <gtest/gtest.h>

#include "crypto/tiers_fixture_test.h"

namespace sluice::crypto {
namespace {

TEST(CryptoSpeed, EveryModeRunsInEveryTier) {
  EXPECT_GE(speed_modes().size(), 12);
  for (const std::string_view mode : speed_modes()) {
    EXPECT_EQ(speed_messages(mode), mode.ends_with("-batch16") ? 16 : 1) << mode;
    for (const Tier tier : test::tiers_here()) {
      EXPECT_GT(time_operations(mode, tier, 100, 2), 0) << mode << ' ' << tier_name(tier);
    }
  }
}

TEST(CryptoSpeed, AnotherModeIsNone) {
  EXPECT_EQ(speed_messages("sm4-xts"), 0);
  EXPECT_EQ(time_operations("sm4-xts", Tier::Portable, 100, 2), 0);
}

}  // namespace
}  // namespace sluice::crypto
