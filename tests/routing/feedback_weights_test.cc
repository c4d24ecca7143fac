// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/feedback_weights.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "base/aligned_matrix.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(RepetitionWeight, CountsTheFirstFullyAndManyLikeAFew) {
  base::AlignedMatrix rows(2);
  const std::vector<float> query = {0.6f, 0.8f}, other = {0.8f, -0.6f};
  double sum = 0;
  for (int i = 0; i < 200; ++i) {
    const float weight = RepetitionWeight(rows.view(), query);
    if (i < 3) EXPECT_EQ(weight, 1.0f);
    sum += weight;
    rows.Append(query.data());
  }
  EXPECT_LT(sum, 3 * (1 + std::log(200.0)));
  EXPECT_EQ(RepetitionWeight(rows.view(), other), 1.0f);
}

TEST(InfluenceWeights, HalveWithAge) {
  const std::size_t count = static_cast<std::size_t>(kFeedbackHalfLife) + 1;
  const std::vector<float> weights =
      InfluenceWeights(std::vector<float>(count, 1.0f), std::vector<std::uint64_t>(count, 0), nullptr);
  EXPECT_FLOAT_EQ(weights.back(), 1.0f);
  EXPECT_NEAR(weights.front(), 0.5f, 1e-6f);
}

TEST(InfluenceWeights, OneSourceCountsAtMostItsShare) {
  std::vector<float> given(200, 1.0f);
  std::vector<std::uint64_t> sources(200, 0);
  for (std::size_t i = 0; i < 100; ++i) sources[2 * i] = 7;
  std::vector<unsigned char> limited;
  const std::vector<float> weights = InfluenceWeights(given, sources, &limited);
  const std::vector<float> free = InfluenceWeights(given, std::vector<std::uint64_t>(200, 0), nullptr);
  const double total = std::accumulate(free.begin(), free.end(), 0.0);
  double of_source = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    if (sources[i] == 7) of_source += weights[i];
    EXPECT_EQ(limited[i] != 0, sources[i] == 7);
    if (sources[i] == 0) EXPECT_EQ(weights[i], free[i]);
  }
  EXPECT_NEAR(of_source, kLargestSourceShare * total, 1e-3);
}

TEST(InfluenceWeights, ASingleFeedbackIsNeverScaledDown) {
  EXPECT_THAT(InfluenceWeights(std::vector<float>{1.0f}, std::vector<std::uint64_t>{9}, nullptr),
              testing::ElementsAre(1.0f));
}

}  // namespace
}  // namespace trivium::routing
