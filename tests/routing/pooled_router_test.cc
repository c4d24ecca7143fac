// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pooled_router.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

std::vector<float> Predict(const ExpertRouter& router, absl::Span<const float> query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

constexpr std::size_t kDimension = 16, kExperts = 3;

TEST(PooledRouter, IsTheLogarithmicPoolOfBoth) {
  ClusteredQueries source(kDimension, kExperts, 1.0, 7);
  const PilotSet pilots = source.Pilots(90);
  PilotSet relative(kDimension, kExperts);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    PilotView pilot = pilots.pilot(i);
    std::vector<float> shares(pilot.utilities.begin(), pilot.utilities.end());
    const float best = *std::max_element(shares.begin(), shares.end());
    for (float& share : shares) share /= best;
    pilot.utilities = shares;
    ASSERT_OK(relative.Add(pilot));
  }
  RouterOptions options = {.class_balance = 0, .neighbor_count = 20, .ridge = 0.3f};
  LogisticRouter logistic;
  KnnUtilityRouter nearest;
  ASSERT_OK(logistic.Train(pilots, options));
  ASSERT_OK(nearest.Train(relative, options));
  for (const float share : {0.0f, 0.3f, 1.0f}) {
    options.pilot_share = share;
    PooledRouter pooled;
    ASSERT_OK(pooled.Train(pilots, options));
    for (std::size_t i = 0; i < 10; ++i) {
      const std::vector<float> query = source.Draw(i % kExperts);
      const std::vector<float> p = Predict(logistic, query), u = Predict(nearest, query);
      const std::vector<float> found = Predict(pooled, query);
      for (std::size_t e = 0; e < kExperts; ++e) {
        const double expected = std::pow(p[e], 1 - share) * std::exp(8 * share * (u[e] - 1));
        EXPECT_NEAR(found[e], expected, 1e-5 + 1e-4 * expected);
      }
    }
  }
}

// Where most queries lie, expert 0 is a little better; for the few in between, expert 1 is by far.
TEST(PooledRouter, CorrectsLogisticWhereTheNearestPilotsKnowBetter) {
  PilotSet pilots(2, 2);
  const auto add = [&](double angle, float first, float second) {
    const std::vector<float> vector = {static_cast<float>(std::cos(angle)),
                                       static_cast<float>(std::sin(angle))};
    ASSERT_OK(pilots.Add(
        {.vector = vector, .utilities = {first, second}, .owners = std::vector<float>{first, second}}));
  };
  for (int i = 0; i < 100; ++i) {
    add(0.0 + 0.001 * i, 0.6f, 0.4f);
    add(1.0 + 0.001 * i, 0.6f, 0.4f);
    if (i % 25 == 0) add(0.5 + 0.001 * i, 0.0f, 1.0f);
  }
  const RouterOptions options = {
      .class_balance = 0, .neighbor_count = 4, .temperature = 0.05f, .ridge = 0.1f, .pilot_share = 0.6f};
  LogisticRouter logistic;
  PooledRouter pooled;
  ASSERT_OK(logistic.Train(pilots, options));
  ASSERT_OK(pooled.Train(pilots, options));
  const std::vector<float> between = {std::cos(0.5f), std::sin(0.5f)}, usual = {1, 0};
  EXPECT_GT(Predict(logistic, between)[0], Predict(logistic, between)[1]);
  EXPECT_LT(Predict(pooled, between)[0], Predict(pooled, between)[1]);
  EXPECT_GT(Predict(pooled, usual)[0], Predict(pooled, usual)[1]);
}

}  // namespace
}  // namespace trivium::routing
