#include "crypto/known_answers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>

namespace sluice::crypto {
namespace {

TEST(KnownAnswers, EveryAnswerOfEveryTierHolds) {
  std::size_t tiers = 0;
  for (const Tier tier : kTiers) tiers += tier_runs_on(tier, cpu_features()) ? 1 : 0;
  const auto answers = known_answers();
  EXPECT_EQ(answers.size() % tiers, 0);
  EXPECT_EQ(answers.size(), 14 * tiers);
  for (const KnownAnswer& answer : answers) {
    EXPECT_TRUE(answer.holds) << answer.algorithm << ' ' << answer.mode << ' '
                              << tier_name(answer.tier);
  }
}

TEST(KnownAnswers, HaveEachSuiteOfEspInEachTier) {
  const auto answers = known_answers();
  for (const Tier tier : kTiers) {
    if (!tier_runs_on(tier, cpu_features())) continue;
    EXPECT_EQ(std::ranges::count_if(answers,
                                    [&](const KnownAnswer& answer) {
                                      return answer.tier == tier &&
                                             std::string_view(answer.algorithm) == "ESP";
                                    }),
              4)
        << tier_name(tier);
  }
}

}  // namespace
}  // namespace sluice::crypto
