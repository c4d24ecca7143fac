// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/adam_optimizer.h"

#include <cmath>

#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(AdamOptimizer, FirstStepIsTheRateAgainstTheSignOfTheSlope) {
  base::AlignedMatrix weights(2, 3), gradient(2, 3);
  gradient.row(0)[1] = 5.0f;
  gradient.row(1)[2] = -1e-3f;
  AdamOptimizer(0.01).Step(gradient, &weights);
  EXPECT_EQ(weights.row(0)[0], 0);
  EXPECT_NEAR(weights.row(0)[1], -0.01, 1e-6);
  EXPECT_NEAR(weights.row(1)[2], 0.01, 1e-6);
}

TEST(AdamOptimizer, FollowsTheAlgorithmOfThePaperStepByStep) {
  base::AlignedMatrix weights(1, 1), gradient(1, 1);
  AdamOptimizer adam(0.1);
  double weight = 0, mean = 0, square = 0;
  for (int step = 1; step <= 20; ++step) {
    const double slope = std::sin(step) + 0.3;
    gradient.row(0)[0] = static_cast<float>(slope);
    adam.Step(gradient, &weights);
    mean = 0.9 * mean + 0.1 * slope;
    square = 0.999 * square + 0.001 * slope * slope;
    weight -=
        0.1 * (mean / (1 - std::pow(0.9, step))) / (std::sqrt(square / (1 - std::pow(0.999, step))) + 1e-8);
    ASSERT_NEAR(weights.row(0)[0], weight, 1e-5) << step;
  }
}

}  // namespace
}  // namespace trivium::routing
