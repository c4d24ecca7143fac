// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_weights.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

PilotSet Pilots(const std::vector<std::vector<float>>& utilities) {
  PilotSet pilots(1, utilities[0].size());
  for (const std::vector<float>& row : utilities) {
    EXPECT_OK(pilots.Add({.vector = {1}, .utilities = row}));
  }
  return pilots;
}

TEST(MarkBestExperts, KeepsTiesAndIgnoresUnknownAndZero) {
  std::vector<unsigned char> best;
  MarkBestExperts({0.5f, kNan, 0.5f, 0.2f}, &best);
  EXPECT_THAT(best, ElementsAre(1, 0, 1, 0));
  MarkBestExperts({0.0f, kNan}, &best);
  EXPECT_THAT(best, Each(0));
}

TEST(BalancedWeights, AreOneWithoutBalance) {
  EXPECT_THAT(BalancedWeights(Pilots({{1, 0}, {1, 0}, {0, 1}, {0, 0}}), 0), Each(FloatEq(1)));
}

TEST(BalancedWeights, GiveEveryBestExpertTheSameTotalAtFullBalance) {
  const std::vector<float> weights = BalancedWeights(Pilots({{1, 0}, {1, 0}, {1, 0}, {0, 1}}), 1);
  EXPECT_THAT(weights[0] + weights[1] + weights[2], FloatNear(weights[3], 1e-6));
  EXPECT_THAT(weights[0] + weights[1] + weights[2] + weights[3], FloatNear(4, 1e-6));
}

TEST(BalancedWeights, PilotWithoutABestExpertCountsLikeAnAverageOne) {
  const std::vector<float> weights = BalancedWeights(Pilots({{1, 0}, {1, 0}, {1, 0}, {0, 1}, {0, 0}}), 1);
  EXPECT_THAT(weights[4], FloatNear((weights[0] * 3 + weights[3]) / 4, 1e-6));
}

TEST(PriorOf, AveragesKnownUtilitiesOnly) {
  const PilotSet pilots = Pilots({{1, kNan, kNan}, {0, 0.5f, kNan}});
  const UtilityPrior prior = PriorOf(pilots, {3, 1});
  EXPECT_THAT(prior.mean[0], FloatEq(0.75f));
  EXPECT_THAT(prior.variance[0], FloatNear(0.1875f, 1e-6));
  EXPECT_THAT(prior.effective_count[0], FloatEq(1.6f));
  EXPECT_THAT(prior.mean[1], FloatEq(0.5f));
  EXPECT_TRUE(std::isnan(prior.mean[2]));
}

}  // namespace
}  // namespace trivium::routing
