// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/grouped_moments.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

constexpr std::size_t kDimension = 11;

TEST(GroupedMoments, OneGroupHasTheMomentsOfTheSample) {
  ClusteredQueries source(kDimension, 3, 1.0, 5);
  const PilotSet rows = source.Pilots(60);
  const std::vector<VectorMoments> groups = GroupedMoments(rows.vectors(), 6000, 1);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].count, 6000);
  for (std::size_t c = 0; c < kDimension; ++c) {
    double mean = 0, variance = 0;
    for (std::size_t i = 0; i < 60; ++i) mean += rows.vectors().row(i)[c] / 60.0;
    for (std::size_t i = 0; i < 60; ++i) variance += std::pow(rows.vectors().row(i)[c] - mean, 2) / 60;
    EXPECT_NEAR(groups[0].mean[c], mean, 1e-5);
    EXPECT_NEAR(groups[0].variance[c], variance, 1e-5);
  }
}

TEST(GroupedMoments, GroupsSplitTheCountAndAreNarrowerThanTheWhole) {
  ClusteredQueries source(kDimension, 4, 0.3, 5);
  const PilotSet rows = source.Pilots(400);
  const auto spread = [](const VectorMoments& moments) {
    double sum = 0;
    for (float v : moments.variance) sum += v;
    return sum;
  };
  const double whole = spread(GroupedMoments(rows.vectors(), 400, 1)[0]);
  const std::vector<VectorMoments> groups = GroupedMoments(rows.vectors(), 4000, 4);
  ASSERT_EQ(groups.size(), 4u);
  for (const VectorMoments& group : groups) {
    EXPECT_NEAR(group.count, 1000, 1e-3);
    EXPECT_LT(spread(group), 0.3 * whole);
  }
}

// The variance of a single row says nothing.
TEST(GroupedMoments, AGroupOfOneRowIsAboutAsWideAsTheWhole) {
  base::AlignedMatrix rows(2);
  const float right[] = {1, 0}, up[] = {0, 2}, nowhere[] = {0, 0};
  for (int i = 0; i < 4; ++i) rows.Append(right);
  rows.Append(up);
  std::vector<VectorMoments> groups = GroupedMoments(rows.view(), 5, 2);
  ASSERT_EQ(groups.size(), 2u);
  const VectorMoments& single = groups[groups[0].count == 1 ? 0 : 1];
  EXPECT_EQ(single.mean, (std::vector<float>{0, 2}));
  EXPECT_NEAR(single.variance[1], 0.64 * 5 / 6, 1e-5);
  rows.Append(nowhere);
  double count = 0;
  for (const VectorMoments& group : GroupedMoments(rows.view(), 6, 2)) count += group.count;
  EXPECT_NEAR(count, 6, 1e-6);
}

}  // namespace
}  // namespace trivium::routing
