#include "crypto/known_answers.h"

#include <gtest/gtest.h>

namespace sluice::crypto {
namespace {

TEST(KnownAnswers, EveryAnswerOfEveryTierHolds) {
  std::size_t tiers = 0;
  for (const Tier tier : kTiers) tiers += tier_runs_on(tier, cpu_features()) ? 1 : 0;
  const auto answers = known_answers();
  EXPECT_EQ(answers.size() % tiers, 0);
  EXPECT_EQ(answers.size(), 10 * tiers);
  for (const KnownAnswer& answer : answers) {
    EXPECT_TRUE(answer.holds) << answer.algorithm << ' ' << answer.mode << ' '
                              << tier_name(answer.tier);
  }
}

}  // namespace
}  // namespace sluice::crypto
