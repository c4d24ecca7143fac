// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/linear_router.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "routing/expert/ridge_regression.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::RandomUnitVector;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(FitRidge, GradientOfTheObjectiveIsZeroAtTheSolution) {
  base::Random random(3);
  const std::size_t n = 50, d = 7;
  base::AlignedMatrix rows(n, d);
  std::vector<std::uint32_t> chosen;
  std::vector<float> weights, targets;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < d; ++c) rows.row(i)[c] = static_cast<float>(random.Normal());
    if (i % 3 == 0) continue;
    chosen.push_back(static_cast<std::uint32_t>(i));
    weights.push_back(static_cast<float>(random.Uniform()));
  }
  for (std::size_t i = 0; i < 2 * chosen.size(); ++i) targets.push_back(static_cast<float>(random.Uniform()));
  const double ridge = 0.7;
  ASSERT_OK_AND_ASSIGN(const RidgeFit fit, FitRidge(rows.view(), chosen, weights, targets, ridge));
  for (std::size_t t = 0; t < 2; ++t) {
    const double* a = &fit.coefficients[t * (d + 1)];
    std::vector<double> gradient(d + 1, 0.0);
    for (std::size_t c = 0; c < d; ++c) gradient[c] = ridge * a[c];
    double squared_error = 0, weight_sum = 0;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const float* x = rows.row(chosen[i]);
      double error = a[d] - targets[t * chosen.size() + i];
      for (std::size_t c = 0; c < d; ++c) error += a[c] * x[c];
      for (std::size_t c = 0; c < d; ++c) gradient[c] += weights[i] * error * x[c];
      gradient[d] += weights[i] * error;
      squared_error += weights[i] * error * error;
      weight_sum += weights[i];
    }
    for (double g : gradient) EXPECT_NEAR(g, 0, 1e-4);
    EXPECT_NEAR(fit.residuals[t], std::sqrt(squared_error / weight_sum), 1e-5);
  }
}

TEST(LinearRouter, RecoversALinearUtilityFromThePilotsThatKnowIt) {
  base::Random random(4);
  const std::size_t d = 10;
  const std::vector<float> slope = RandomUnitVector(d, &random);
  const auto truth = [&](const std::vector<float>& x) {
    float sum = 0.4f;
    for (std::size_t c = 0; c < d; ++c) sum += 0.3f * slope[c] * x[c];
    return sum;
  };
  PilotSet pilots(d, 3);
  for (int i = 0; i < 600; ++i) {
    const std::vector<float> x = RandomUnitVector(d, &random);
    // The second expert is known on a third of the pilots, the third on none.
    const std::vector<float> utilities = {truth(x), i % 3 == 0 ? 1 - truth(x) : kNan, kNan};
    ASSERT_OK(pilots.Add({.vector = x, .utilities = utilities}));
  }
  LinearRouter router;
  ASSERT_OK(router.Train(pilots, {.class_balance = 0, .ridge = 0.01f}));
  RouterScratch scratch;
  std::vector<float> utility(3), uncertainty(3);
  for (int q = 0; q < 30; ++q) {
    const std::vector<float> x = RandomUnitVector(d, &random);
    router.Predict(x, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    EXPECT_NEAR(utility[0], truth(x), 0.002);
    EXPECT_NEAR(utility[1], 1 - truth(x), 0.002);
    EXPECT_TRUE(std::isnan(utility[2]));
    EXPECT_LT(uncertainty[0], 0.002);
  }
}

TEST(LinearRouter, StrongRidgeLeavesTheMeanUtility) {
  base::Random random(5);
  PilotSet pilots(6, 1);
  double mean = 0;
  for (int i = 0; i < 40; ++i) {
    const float u = static_cast<float>(random.Uniform());
    mean += u / 40;
    const std::vector<float> x = RandomUnitVector(6, &random);
    ASSERT_OK(pilots.Add({.vector = x, .utilities = {u}}));
  }
  LinearRouter router;
  ASSERT_OK(router.Train(pilots, {.class_balance = 0, .ridge = 1e6f}));
  RouterScratch scratch;
  float utility = 0, uncertainty = 0;
  router.Predict(RandomUnitVector(6, &random), &scratch, absl::MakeSpan(&utility, 1),
                 absl::MakeSpan(&uncertainty, 1));
  EXPECT_NEAR(utility, mean, 1e-3);
}

}  // namespace
}  // namespace trivium::routing
