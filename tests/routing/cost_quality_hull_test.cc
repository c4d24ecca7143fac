// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cost_quality_hull.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

// The best quality that any two points, or one and nothing, give at `cost` on average.
double SlowHull(std::vector<CostQuality> points, double cost) {
  points.push_back({0, 0});
  double best = 0;
  for (const CostQuality& a : points) {
    if (a.cost <= cost) best = std::max(best, a.quality);
    for (const CostQuality& b : points) {
      if (!(a.cost <= cost && cost <= b.cost && a.cost < b.cost)) continue;
      const double share = (cost - a.cost) / (b.cost - a.cost);
      best = std::max(best, (1 - share) * a.quality + share * b.quality);
    }
  }
  return best;
}

TEST(AverageQuality, GivesTheAreasComputedByHand) {
  EXPECT_NEAR(AverageQuality({{1, 0.5}}, 1), 0.25, 1e-12);
  EXPECT_NEAR(AverageQuality({{0.5, 0.4}}, 1), 0.3, 1e-12);  // the rest of the budget is left unspent
  EXPECT_NEAR(AverageQuality({{2, 0.8}}, 1), 0.2, 1e-12);    // cut at the budget
  EXPECT_NEAR(AverageQuality({{2, 0.4}, {4, 0.2}}, 4), 0.3, 1e-12);
  EXPECT_NEAR(AverageQuality({}, 1), 0, 1e-12);
  EXPECT_TRUE(std::isnan(AverageQuality({{1, 1}}, 0)));
}

TEST(AverageQuality, APointBelowTheHullChangesNothing) {
  const std::vector<CostQuality> points = {{0.2, 0.3}, {0.8, 0.6}};
  std::vector<CostQuality> more = points;
  more.push_back({0.5, 0.4});
  more.push_back({0.9, 0.55});
  EXPECT_DOUBLE_EQ(AverageQuality(points, 1), AverageQuality(more, 1));
  more.push_back({0.5, 0.5});
  EXPECT_GT(AverageQuality(more, 1), AverageQuality(points, 1));
}

TEST(AverageQuality, AgreesWithTheSlowHullOnRandomPoints) {
  base::Random random(6);
  for (int round = 0; round < 50; ++round) {
    std::vector<CostQuality> points(1 + random.Below(8));
    for (CostQuality& point : points) {
      point = {static_cast<double>(random.Below(13)) / 10, static_cast<double>(random.Below(11)) / 10};
    }
    constexpr int kSteps = 4000;
    double sum = 0;
    for (int i = 0; i < kSteps; ++i) sum += SlowHull(points, (i + 0.5) / kSteps);
    EXPECT_NEAR(AverageQuality(points, 1), sum / kSteps, 1e-3) << round;
  }
}

}  // namespace
}  // namespace trivium::routing
