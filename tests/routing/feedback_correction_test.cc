// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/feedback_correction.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const std::vector<float> kVector = {1, 0};

// Feedback on three experts; of queries that the router sends to the first unless said otherwise.
class Correction : public testing::Test {
 protected:
  void Say(std::vector<float> observed, std::vector<float> predicted = {0.6f, 0.1f, 0.0f}, float weight = 1) {
    ASSERT_OK(pilots_.Add({.vector = kVector, .utilities = observed, .source = PilotSource::kFeedback}));
    predicted_.insert(predicted_.end(), predicted.begin(), predicted.end());
    weights_.push_back(weight);
  }

  std::vector<float> Corrected(std::vector<float> utility = {0.6f, 0.1f, 0.0f}) {
    auto correction = FeedbackCorrection::Build(pilots_, predicted_, weights_);
    EXPECT_OK(correction.status());
    FeedbackScratch scratch;
    std::vector<float> uncertainty;
    for (const float u : utility) uncertainty.push_back(std::isnan(u) ? kNan : 0.2f);
    (*correction)->Correct(&scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    for (std::size_t e = 0; e < utility.size(); ++e) {
      EXPECT_EQ(std::isnan(utility[e]), std::isnan(uncertainty[e]));
    }
    return utility;
  }

  PilotSet pilots_{2, 3};
  std::vector<float> predicted_, weights_;
};

TEST_F(Correction, WithoutFeedbackOfItsKindAQueryIsLeftAsItIs) {
  Say({kNan, kNan, 0.0f}, {0.0f, 0.0f, 0.9f});
  EXPECT_THAT(Corrected(), testing::ElementsAre(0.6f, 0.1f, 0.0f));
}

TEST_F(Correction, ARouterThatIsRightIsLeftAsItIs) {
  for (int i = 0; i < 20; ++i) Say({0.6f, 0.1f, kNan});
  EXPECT_THAT(Corrected(),
              testing::ElementsAre(testing::FloatNear(0.6f, 1e-6f), testing::FloatNear(0.1f, 1e-6f), 0.0f));
}

TEST_F(Correction, MovesByTheMeanErrorShrunkByThePrior) {
  for (int i = 0; i < 4; ++i) Say({0.4f, kNan, kNan}, {0.6f, 0.0f, 0.0f});
  // Four votes for -0.2 beside four of the prior for 0.
  EXPECT_NEAR(Corrected({0.6f, 0.0f, 0.0f})[0], 0.5f, 1e-5f);
}

TEST_F(Correction, ARefutedRouterLeavesTheOthersUnknownUntilTheyWereTried) {
  for (int i = 0; i < 8; ++i) Say({0.0f, 0.0f, kNan});
  const std::vector<float> refuted = Corrected();
  EXPECT_LT(refuted[0], 0.3f);
  EXPECT_FALSE(std::isnan(refuted[1]));
  EXPECT_TRUE(std::isnan(refuted[2]));
  for (int i = 0; i < 4; ++i) Say({0.0f, 0.0f, 0.8f});
  const std::vector<float> learned = Corrected();
  EXPECT_GT(learned[2], 0.3f);
  EXPECT_GT(learned[2], learned[0]);
}

TEST_F(Correction, OneFeedbackRefutesNothing) {
  Say({0.0f, 0.0f, kNan});
  EXPECT_THAT(Corrected(), testing::Each(testing::Truly([](float u) { return !std::isnan(u); })));
}

TEST_F(Correction, AnExpertUnknownToTheRouterBecomesKnown) {
  Say({0.6f, kNan, 0.8f}, {0.6f, 0.1f, kNan});
  EXPECT_TRUE(std::isnan(Corrected({0.6f, 0.1f, kNan})[2]));
  for (int i = 0; i < 7; ++i) Say({0.6f, kNan, 0.8f}, {0.6f, 0.1f, kNan});
  EXPECT_GT(Corrected({0.6f, 0.1f, kNan})[2], 0.4f);
}

TEST_F(Correction, StaysWithinTheRangeOfUtilities) {
  for (int i = 0; i < 100; ++i) Say({1.0f, 0.0f, kNan});
  const std::vector<float> corrected = Corrected({0.9f, 0.01f, 0.0f});
  EXPECT_LE(corrected[0], 1.0f);
  EXPECT_GE(corrected[1], 0.0f);
}

TEST_F(Correction, FivePerCentOfPoisonMoveAKnownExpertByFivePerCent) {
  for (int i = 0; i < 95; ++i) Say({0.6f, 0.1f, 0.0f});
  const float clean = Corrected()[2];
  for (int i = 0; i < 5; ++i) Say({0.0f, 0.0f, 1.0f});
  EXPECT_LE(Corrected()[2] - clean, 0.05f);
  EXPECT_GE(Corrected()[0], 0.57f);
}

TEST_F(Correction, OtherLengthsAreRefused) {
  Say({0.6f, 0.1f, kNan});
  predicted_.pop_back();
  EXPECT_TRUE(absl::IsInvalidArgument(FeedbackCorrection::Build(pilots_, predicted_, weights_).status()));
}

TEST(FirstExpert, IsTheLargestKnown) {
  EXPECT_EQ(FirstExpert({kNan, 0.2f, 0.5f, 0.5f}), 2);
  EXPECT_EQ(FirstExpert({kNan, kNan}), -1);
  EXPECT_EQ(FirstExpert({}), -1);
}

}  // namespace
}  // namespace trivium::routing
