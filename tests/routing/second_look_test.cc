// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/second_look.h"

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "routing/expert/second_look_learner.h"

namespace trivium::routing {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

Dispatch Chosen(const std::vector<float>& probabilities, std::size_t chosen) {
  Dispatch dispatch;
  for (std::uint32_t e = 0; e < probabilities.size(); ++e) {
    dispatch.experts.push_back(
        {.utility = probabilities[e], .probability = probabilities[e], .chosen = e < chosen});
    if (e < chosen) dispatch.chosen.push_back(e);
  }
  return dispatch;
}

TEST(Revise, IsTheFormulaOverTheExpertsThatFoundSomething) {
  const SecondLook look{.route_weight = 0.8f, .score_weight = 6, .bias = {0.1f, -0.4f, 0.3f, 0, 0}};
  Dispatch dispatch = Chosen({0.5f, 0.2f, 0.15f, 0.1f, 0.05f}, 4);
  const std::vector<float> scores = {0.6f, 0.9f, 0.7f, kNone, 0.99f};
  const float largest = Revise(look, scores, {}, &dispatch);

  std::vector<double> worth;
  double sum = 0;
  for (const std::size_t e : {0, 1, 2}) {
    worth.push_back(std::pow(dispatch.experts[e].probability, 0.8) * std::exp(6 * scores[e] + look.bias[e]));
    sum += worth.back();
  }
  for (const std::size_t e : {0, 1, 2}) {
    EXPECT_NEAR(dispatch.experts[e].revised, 0.85 * worth[e] / sum, 1e-5) << e;
  }
  EXPECT_NEAR(largest, worth[1] / sum, 1e-5);
  EXPECT_TRUE(std::isnan(dispatch.experts[3].revised));  // found nothing
  EXPECT_TRUE(std::isnan(dispatch.experts[4].revised));  // was not asked
}

TEST(Revise, HoldsNothingAgainstAnExpertOfWhichNothingIsKnown) {
  const SecondLook look{.score_weight = 1, .bias = {0, 5}};
  Dispatch dispatch = Chosen({0.5f, 0.3f, 0.2f}, 3);
  const std::vector<int> columns = {0, -1, 1};
  Revise(look, std::vector<float>{0.5f, 0.1f, 0.5f}, columns, &dispatch);
  EXPECT_GT(dispatch.experts[2].revised, dispatch.experts[0].revised);
  EXPECT_FLOAT_EQ(dispatch.experts[1].revised, dispatch.experts[2].revised);
}

// It has a column where it was there while dispatch was trained and no judged query was its own.
TEST(Revise, KnowsNothingOfAnExpertWithoutAUtility) {
  const SecondLook look{.score_weight = 1, .bias = {0, 9, 0}};
  Dispatch dispatch = Chosen({0.5f, 0.3f, 0.2f}, 3);
  Dispatch without = Chosen({0.5f, 0.3f, 0.2f}, 3);
  dispatch.experts[1].utility = kNone;
  const float sure = Revise(look, std::vector<float>{0.5f, 0.9f, 0.5f}, {}, &dispatch);
  EXPECT_EQ(sure, Revise(look, std::vector<float>{0.5f, kNone, 0.5f}, {}, &without));
  EXPECT_FLOAT_EQ(dispatch.experts[1].revised, dispatch.experts[0].revised);
  EXPECT_GT(dispatch.experts[0].revised, dispatch.experts[2].revised);
}

// A route with a share above 1 could not be taken again.
TEST(Revise, StaysAShareWhereProbabilitiesAreRoundedUp) {
  const SecondLook look{.score_weight = 1000, .bias = {0, 0}};
  Dispatch dispatch = Chosen({0.5f, 0.5000001f}, 2);
  ASSERT_GT(dispatch.experts[0].probability + dispatch.experts[1].probability, 1.0f);
  Revise(look, std::vector<float>{0.9f, 0.1f}, {}, &dispatch);
  EXPECT_EQ(dispatch.experts[0].revised, 1.0f);
}

TEST(Revise, IsSureWhereThereIsNothingToCompare) {
  const SecondLook look{.score_weight = 1, .bias = {0, 0}};
  Dispatch dispatch = Chosen({0.7f, 0.3f}, 2);
  EXPECT_EQ(Revise(look, std::vector<float>{0.5f, kNone}, {}, &dispatch), 1);
  EXPECT_FLOAT_EQ(dispatch.experts[0].revised, 0.7f);
  EXPECT_EQ(Revise(look, std::vector<float>{kNone, kNone}, {}, &dispatch), 1);
  EXPECT_TRUE(std::isnan(dispatch.experts[0].revised));
  EXPECT_EQ(Revise(look, std::vector<float>{0.5f, 0.6f}, std::vector<int>{-1, 1}, &dispatch), 1);
}

TEST(Wider, NeverNarrows) {
  const DispatchOptions policy{.top_p = 0.9f, .max_experts = 3};
  const DispatchOptions wider = Wider(policy, {.wider_top_p = 0.5f, .wider_max_experts = 6});
  EXPECT_FLOAT_EQ(wider.top_p, 0.9f);
  EXPECT_EQ(wider.max_experts, 6u);
  EXPECT_EQ(Wider(policy, {.wider_top_p = 1, .wider_max_experts = 2}).max_experts, 3u);
  EXPECT_EQ(Wider(policy, {.wider_top_p = 1, .wider_max_experts = 0}).max_experts, 0u);  // no cap
}

constexpr std::size_t kExperts = 4;

// The owner's best hit is nearer by 0.1 in the mean; expert 0 finds near documents for everybody; the route
// says little.
std::vector<LookedQuery> World(std::size_t count, std::uint64_t seed, double noise = 0.04) {
  base::Random random(seed);
  std::vector<LookedQuery> queries(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t owner = random.Below(kExperts);
    queries[i].weight = 1;
    for (std::uint32_t e = 0; e < kExperts; ++e) {
      const double score = 0.5 + (e == owner ? 0.1 : 0.0) + (e == 0 ? 0.08 : 0.0) + noise * random.Normal();
      const double log_probability = -1.5 + (e == owner ? 0.3 : 0.0) + 0.5 * random.Normal();
      queries[i].experts.push_back(
          {e, static_cast<float>(log_probability), static_cast<float>(score), e == owner ? 1.0f : 0.0f});
    }
  }
  return queries;
}

std::vector<const LookedQuery*> Pointers(const std::vector<LookedQuery>& queries) {
  std::vector<const LookedQuery*> pointers;
  for (const LookedQuery& query : queries) pointers.push_back(&query);
  return pointers;
}

TEST(LearnSecondLook, LearnsWhatScoresTellAndWhoFindsMuchForEverybody) {
  const std::vector<LookedQuery> training = World(800, 1), held_out = World(800, 2);
  const SecondLook look = LearnSecondLook(Pointers(training), kExperts);
  SecondLook as_it_is;
  as_it_is.bias.assign(kExperts, 0.0f);
  EXPECT_LT(SecondLookLoss(Pointers(held_out), look), 0.5 * SecondLookLoss(Pointers(held_out), as_it_is));
  EXPECT_GT(look.score_weight, 20);
  for (std::size_t e = 1; e < kExperts; ++e) EXPECT_LT(look.bias[0], look.bias[e] - 1);
}

// The loss is convex: where no small step gains more than a thousandth, it is at its minimum but for the
// ridge.
TEST(LearnSecondLook, IsNearTheMinimum) {
  const std::vector<LookedQuery> training = World(2000, 3, 0.12);
  SecondLook look = LearnSecondLook(Pointers(training), kExperts);
  const double reached = SecondLookLoss(Pointers(training), look);
  std::vector<float*> values = {&look.route_weight, &look.score_weight};
  for (float& bias : look.bias) values.push_back(&bias);
  for (float* value : values) {
    const float kept = *value;
    for (const float step : {-0.05f, 0.05f}) {
      *value = kept + step * std::max(1.0f, std::abs(kept));
      EXPECT_GT(SecondLookLoss(Pointers(training), look), reached - 2e-4);
    }
    *value = kept;
  }
}

TEST(LearnSecondLook, LeavesTheRouteWhereNothingTellsIt) {
  std::vector<LookedQuery> training = World(50, 4);
  for (LookedQuery& query : training) {
    for (LookedAt& expert : query.experts) expert.share = 0;  // nobody asked owns anything
  }
  training.push_back({{{1, -0.1f, 0.5f, 1}}, 1});  // nobody to compare with
  training.push_back({{}, 1});
  const SecondLook look = LearnSecondLook(Pointers(training), kExperts);
  EXPECT_EQ(look.route_weight, 1);
  EXPECT_EQ(look.score_weight, 0);
  EXPECT_EQ(look.bias, std::vector<float>(kExperts, 0.0f));
  EXPECT_EQ(LearnSecondLook({}, 2).bias.size(), 2u);
}

TEST(LearnSecondLook, IsTheSameOnEveryRun) {
  const std::vector<LookedQuery> training = World(100, 5);
  const SecondLook a = LearnSecondLook(Pointers(training), kExperts);
  const SecondLook b = LearnSecondLook(Pointers(training), kExperts);
  EXPECT_EQ(a.score_weight, b.score_weight);
  EXPECT_EQ(a.bias, b.bias);
}

}  // namespace
}  // namespace trivium::routing
