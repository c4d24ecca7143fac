// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/observed_utility.h"

#include <cmath>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(ObservedUtilities, AreTheNdcgOfEachExpertsPart) {
  // Experts 0 and 2 were asked; the second document of expert 2 was of use, third in the answer.
  const std::vector<ShownDocument> shown = {{0, {0}}, {0, {2}}, {1, {2}}};
  const std::vector<std::uint32_t> asked = {0, 2};
  const std::vector<float> utilities = ObservedUtilities(shown, asked, 4);
  EXPECT_FLOAT_EQ(utilities[0], 0.0f);
  EXPECT_TRUE(std::isnan(utilities[1]));
  EXPECT_NEAR(utilities[2], 1 / std::log2(3.0), 1e-6);
  EXPECT_TRUE(std::isnan(utilities[3]));
}

TEST(ObservedUtilities, ThoseWhoHoldTheSameShareTheCredit) {
  const std::vector<std::uint32_t> asked = {0, 1};
  const std::vector<ShownDocument> shown = {{1, {0, 1}}};
  EXPECT_THAT(ObservedUtilities(shown, asked, 2), testing::ElementsAre(1.0f, 1.0f));
}

TEST(ObservedUtilities, NothingOfUseIsZeroForAllAsked) {
  const std::vector<std::uint32_t> asked = {1, 0};
  EXPECT_THAT(ObservedUtilities(std::vector<ShownDocument>{{0, {0}}}, asked, 2), testing::Each(0.0f));
  EXPECT_THAT(ObservedUtilities({}, asked, 2), testing::Each(0.0f));
}

TEST(ObservedUtilities, OnlyTheFirstTenCount) {
  std::vector<ShownDocument> shown(11, {0, {0}});
  shown[10].gain = 1;
  const std::vector<std::uint32_t> asked = {0};
  EXPECT_THAT(ObservedUtilities(shown, asked, 1), testing::ElementsAre(0.0f));
}

TEST(PropensityWeight, IsTheInverseClipped) {
  EXPECT_FLOAT_EQ(PropensityWeight(1.0), 1.0f);
  EXPECT_FLOAT_EQ(PropensityWeight(0.8), 1.25f);
  EXPECT_FLOAT_EQ(PropensityWeight(0.01), kLargestPropensityWeight);
  EXPECT_FLOAT_EQ(PropensityWeight(0.0), kLargestPropensityWeight);
}

}  // namespace
}  // namespace trivium::routing
