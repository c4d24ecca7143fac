// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/dispatch_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Dispatch Choose(const std::vector<float>& utility, const DispatchOptions& options,
                const std::vector<float>& cost = {}, const base::Bitmap* allowed = nullptr) {
  Dispatch dispatch;
  ChooseExperts(utility, utility, cost, allowed, options, &dispatch);
  return dispatch;
}

DispatchOptions Plain(float top_p, std::size_t cap) {
  return {.temperature = 1, .top_p = top_p, .max_experts = cap};
}

TEST(ChooseExperts, TakesTheSmallestSetThatReachesTopP) {
  const Dispatch dispatch = Choose({0.1f, 0.6f, 0.3f, 0}, Plain(0.85f, 0));
  EXPECT_THAT(dispatch.chosen, ElementsAre(1, 2));
  EXPECT_FLOAT_EQ(dispatch.experts[1].probability, 0.6f);
  EXPECT_EQ(dispatch.experts[1].reason, ChoiceReason::kTopP);
  EXPECT_EQ(dispatch.experts[0].reason, ChoiceReason::kEnoughAlready);
  EXPECT_EQ(dispatch.experts[3].reason, ChoiceReason::kNotWorthCost);
  EXPECT_FALSE(dispatch.fell_back);
}

TEST(ChooseExperts, StopsAtTheCap) {
  const Dispatch dispatch = Choose({0.3f, 0.3f, 0.4f}, Plain(1, 2));
  EXPECT_THAT(dispatch.chosen, ElementsAre(2, 0));
  EXPECT_EQ(dispatch.experts[1].reason, ChoiceReason::kOverCap);
}

TEST(ChooseExperts, LowTemperatureTrustsTheBestExpert) {
  EXPECT_EQ(Choose({0.5f, 0.4f}, Plain(0.9f, 0)).chosen.size(), 2u);
  EXPECT_THAT(Choose({0.5f, 0.4f}, {.temperature = 0.05f, .top_p = 0.9f}).chosen, ElementsAre(0));
}

TEST(ChooseExperts, AsksEveryAllowedExpertWhenNothingIsKnown) {
  base::Bitmap allowed(3);
  allowed.Set(0);
  allowed.Set(2);
  for (const std::vector<float>& utility :
       {std::vector<float>{kNan, kNan, kNan}, {0, 0, 0.9f}, {kNan, 1, -1}}) {
    std::vector<float> known = utility;
    if (known[2] == 0.9f) known[2] = 0;
    const Dispatch dispatch = Choose(known, Plain(0.9f, 1), {}, &allowed);
    EXPECT_TRUE(dispatch.fell_back);
    EXPECT_THAT(dispatch.chosen, ElementsAre(0, 2));
    EXPECT_EQ(dispatch.experts[0].reason, ChoiceReason::kNothingKnown);
    EXPECT_FLOAT_EQ(dispatch.experts[0].probability, 0.5f);
    EXPECT_EQ(dispatch.experts[1].reason, ChoiceReason::kNotAllowed);
    EXPECT_EQ(dispatch.experts[1].probability, 0);
  }
}

TEST(ChooseExperts, ChoosesNothingWhenNothingIsAllowed) {
  const base::Bitmap allowed(2);
  EXPECT_THAT(Choose({1, 1}, Plain(0.9f, 0), {}, &allowed).chosen, IsEmpty());
}

TEST(ChooseExperts, AsksNewExpertsBeyondTheCapWithoutChangingTheOthers) {
  const std::vector<float> known = {0.5f, 0.45f, 0.05f};
  std::vector<float> with_new = known;
  with_new.push_back(kNan);
  for (float top_p : {0.3f, 0.6f, 0.9f, 1.0f}) {
    for (std::size_t cap : {0, 1, 2}) {
      const Dispatch before = Choose(known, Plain(top_p, cap));
      const Dispatch after = Choose(with_new, Plain(top_p, cap));
      for (std::size_t e = 0; e < known.size(); ++e) {
        EXPECT_EQ(before.experts[e].chosen, after.experts[e].chosen) << top_p << " " << cap;
      }
      EXPECT_TRUE(after.experts[3].chosen);
      EXPECT_EQ(after.experts[3].reason, ChoiceReason::kUnknownAsked);
      EXPECT_NEAR(after.experts[3].probability, 0.25f, 1e-6);
    }
  }
  DispatchOptions cautious = Plain(0.9f, 0);
  cautious.ask_unknown = false;
  const Dispatch dispatch = Choose(with_new, cautious);
  EXPECT_THAT(dispatch.chosen, ElementsAre(0, 1));
  EXPECT_EQ(dispatch.experts[3].reason, ChoiceReason::kUnknown);
}

TEST(ChooseExperts, GivesUpUtilityForCost) {
  DispatchOptions options = Plain(1, 0);
  options.cost_weight = 0.1f;
  const Dispatch dispatch = Choose({0.5f, 0.6f, 0.3f}, options, {0, 2, 3});
  EXPECT_THAT(dispatch.chosen, ElementsAre(0, 1));
  EXPECT_EQ(dispatch.experts[2].reason, ChoiceReason::kNotWorthCost);
  EXPECT_EQ(dispatch.experts[1].cost, 2);
}

TEST(ChooseExperts, IsMonotoneInTopPCapAndCost) {
  base::Random random(5);
  for (int round = 0; round < 300; ++round) {
    const std::size_t count = 1 + random.Below(9);
    std::vector<float> utility(count), cost(count);
    for (std::size_t e = 0; e < count; ++e) {
      utility[e] = random.Below(8) == 0 ? kNan : static_cast<float>(random.Below(20)) / 20;
      cost[e] = static_cast<float>(random.Below(5));
    }
    DispatchOptions options = Plain(0.05f + 0.9f * static_cast<float>(random.Uniform()), 1 + random.Below(4));
    options.cost_weight = static_cast<float>(random.Below(3)) * 0.05f;
    const auto chosen_in = [](const Dispatch& dispatch, std::uint32_t e) {
      return dispatch.experts[e].chosen;
    };
    const Dispatch base = Choose(utility, options, cost);

    float sum = 0;
    for (const ExpertChoice& expert : base.experts) sum += expert.probability;
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_TRUE(std::is_sorted(base.chosen.begin(), base.chosen.end(), [&](std::uint32_t a, std::uint32_t b) {
      return base.experts[a].probability > base.experts[b].probability;
    }));

    DispatchOptions more = options;
    more.top_p = std::min(1.0f, options.top_p + 0.2f);
    DispatchOptions wider = options;
    wider.max_experts = options.max_experts + 1;
    for (std::uint32_t e : base.chosen) {
      EXPECT_TRUE(chosen_in(Choose(utility, more, cost), e));
      EXPECT_TRUE(chosen_in(Choose(utility, wider, cost), e));
    }
    for (std::uint32_t e = 0; e < count && !base.fell_back; ++e) {
      std::vector<float> dearer = cost;
      dearer[e] += 3;
      const Dispatch after = Choose(utility, options, dearer);
      if (!chosen_in(base, e) && !after.fell_back) {
        EXPECT_FALSE(chosen_in(after, e)) << "round " << round;
      }
    }
  }
}

// However few of them are ordered.
TEST(ChooseExperts, ChoosesAmongManyAsIfAllWereOrdered) {
  base::Random random(6);
  for (int round = 0; round < 300; ++round) {
    const std::size_t count = 1 + random.Below(60);
    std::vector<float> utility(count);
    for (float& each : utility) {  // with ties, zeros and, now and then, one that stands out
      each = random.Below(9) == 0 ? kNan : static_cast<float>(random.Below(12)) / 12;
      if (random.Below(30) == 0) each *= 100;
    }
    const DispatchOptions options = {.temperature = random.Below(2) == 0 ? 1.0f : 0.4f,
                                     .top_p = 0.05f + 0.95f * static_cast<float>(random.Uniform()),
                                     .max_experts = random.Below(25)};
    const Dispatch dispatch = Choose(utility, options);
    if (dispatch.fell_back) continue;
    std::vector<std::uint32_t> order, chosen;
    double known = 0, before = 0;
    for (std::uint32_t e = 0; e < count; ++e) {
      if (std::isnan(utility[e])) {
        chosen.push_back(e);
      } else if (utility[e] > 0) {
        order.push_back(e);
        known += dispatch.experts[e].probability;
      }
    }
    const auto more_probable = [&](std::uint32_t a, std::uint32_t b) {
      return dispatch.experts[a].probability > dispatch.experts[b].probability;
    };
    std::stable_sort(order.begin(), order.end(), more_probable);
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint32_t e = order[i];
      if (std::abs(before - options.top_p * known) > 1e-4) {
        const bool enough = i > 0 && before > options.top_p * known;
        const bool over_cap = options.max_experts > 0 && i >= options.max_experts;
        EXPECT_EQ(dispatch.experts[e].reason, enough     ? ChoiceReason::kEnoughAlready
                                              : over_cap ? ChoiceReason::kOverCap
                                                         : ChoiceReason::kTopP)
            << round << " " << i;
      }
      if (dispatch.experts[e].chosen) chosen.push_back(e);
      before += dispatch.experts[e].probability;
    }
    std::sort(chosen.begin(), chosen.end());
    std::stable_sort(chosen.begin(), chosen.end(), more_probable);
    EXPECT_EQ(dispatch.chosen, chosen) << round;
  }
}

TEST(ChooseExperts, ReusesTheDispatchOfAnEarlierQuery) {
  Dispatch dispatch;
  ChooseExperts({kNan, kNan, kNan}, {kNan, kNan, kNan}, {}, nullptr, Plain(1, 0), &dispatch);
  ChooseExperts({0.5f, 0}, {0.1f, 0.2f}, {}, nullptr, Plain(1, 0), &dispatch);
  EXPECT_FALSE(dispatch.fell_back);
  EXPECT_THAT(dispatch.chosen, ElementsAre(0));
  EXPECT_EQ(dispatch.experts.size(), 2u);
  EXPECT_EQ(dispatch.experts[1].uncertainty, 0.2f);
}

Dispatch ChooseFor(double limit, const std::vector<float>& utility, const std::vector<float>& prices,
                   const base::Bitmap* allowed = nullptr) {
  Dispatch dispatch = Choose(utility, {.top_p = 0.5f, .max_experts = 1}, {}, allowed);
  if (!dispatch.fell_back) ChooseAffordable(prices, limit, allowed, &dispatch);
  return dispatch;
}

TEST(ChooseAffordable, TakesTheMostProbableExpertsThatTheLimitPaysFor) {
  const std::vector<float> utility = {0.2f, 0.5f, 0, 0.4f, kNan};  // the unknown one is worth the mean, 0.275
  const std::vector<float> prices = {1, 2, 1, 2, 1};
  EXPECT_THAT(ChooseFor(0, utility, prices).chosen, ElementsAre(1));
  EXPECT_THAT(ChooseFor(3.9, utility, prices).chosen,
              ElementsAre(1));  // the next costs 2, none after it is tried
  EXPECT_THAT(ChooseFor(4, utility, prices).chosen, ElementsAre(1, 3));
  EXPECT_THAT(ChooseFor(7, utility, prices).chosen, ElementsAre(1, 3, 4, 0, 2));
  const Dispatch dispatch = ChooseFor(5, utility, prices);
  EXPECT_THAT(dispatch.chosen, ElementsAre(1, 3, 4));
  EXPECT_EQ(dispatch.experts[3].reason, ChoiceReason::kWithinLimit);
  EXPECT_EQ(dispatch.experts[2].reason, ChoiceReason::kOverLimit);
  EXPECT_FALSE(dispatch.experts[2].chosen);
}

TEST(ChooseAffordable, FreeExpertsAreLeftOutOnlyByALimitBelowZero) {
  EXPECT_THAT(ChooseFor(0, {0.1f, 0.2f}, {0, 0}).chosen, ElementsAre(1, 0));
  EXPECT_THAT(ChooseFor(-1, {0.1f, 0.2f}, {0, 0}).chosen, ElementsAre(1));
}

TEST(ChooseAffordable, TenthsOfWhatTenExpertsCostPayForOneEach) {
  const std::vector<float> prices(10, 0.1f);
  double limit = 0;
  for (const float price : prices) limit += price;
  for (std::size_t count = 1; count <= 10; ++count) {
    EXPECT_EQ(ChooseFor(limit * static_cast<double>(count) / 10, std::vector<float>(10, 0.5f), prices)
                  .chosen.size(),
              count);
  }
}

TEST(ChooseAffordable, IsAPrefixByProbabilityThatALargerLimitOnlyExtends) {
  base::Random random(7);
  for (int round = 0; round < 500; ++round) {
    const std::size_t count = 1 + random.Below(9);
    std::vector<float> utility(count), prices(count);
    base::Bitmap allowed(count);
    double total = 0;
    for (std::size_t e = 0; e < count; ++e) {
      utility[e] = random.Below(8) == 0 ? kNan : static_cast<float>(random.Below(12)) / 12;
      prices[e] = static_cast<float>(random.Below(4));
      if (random.Below(4) > 0) allowed.Set(e), total += prices[e];
    }
    std::vector<std::uint32_t> before;
    for (double limit = 0; limit <= total + 1; limit += 0.5) {
      const Dispatch dispatch = ChooseFor(limit, utility, prices, &allowed);
      if (dispatch.fell_back || allowed.CountSet() == 0) break;
      const std::vector<std::uint32_t>& chosen = dispatch.chosen;
      ASSERT_FALSE(chosen.empty());
      double spent = 0;
      float least = 1;
      for (std::uint32_t e : chosen) {
        EXPECT_TRUE(allowed.Test(e) && dispatch.experts[e].chosen);
        spent += prices[e];
        least = std::min(least, dispatch.experts[e].probability);
      }
      EXPECT_TRUE(spent <= limit || chosen.size() == 1);
      for (std::uint32_t e = 0; e < count; ++e) {
        const ExpertChoice& choice = dispatch.experts[e];
        EXPECT_EQ(choice.reason == ChoiceReason::kNotAllowed, !allowed.Test(e));
        EXPECT_TRUE(choice.chosen || choice.probability <= least);
      }
      ASSERT_GE(chosen.size(), before.size());
      EXPECT_TRUE(std::equal(before.begin(), before.end(), chosen.begin())) << "round " << round;
      before = chosen;
    }
    EXPECT_TRUE(before.empty() || before.size() == allowed.CountSet());
  }
}

TEST(RequestExperts, ChoosesExactlyThose) {
  Dispatch dispatch;
  RequestExperts(4, {2, 0}, &dispatch);
  EXPECT_THAT(dispatch.chosen, ElementsAre(2, 0));
  EXPECT_EQ(dispatch.experts[2].reason, ChoiceReason::kRequested);
  EXPECT_EQ(dispatch.experts[0].probability, 0.5f);
  EXPECT_EQ(dispatch.experts[1].reason, ChoiceReason::kNotRequested);
  EXPECT_TRUE(std::isnan(dispatch.experts[2].utility));
}

TEST(DispatchOptions, NamesTheFieldOutOfRange) {
  const auto refused = [](const DispatchOptions& options, const char* why) {
    EXPECT_THAT(options.Validate(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  EXPECT_OK(DispatchOptions().Validate());
  refused({.temperature = 0}, "temperature: 0");
  refused({.top_p = 0}, "top_p: 0");
  refused({.top_p = 1.5f}, "top_p: 1.5");
  refused({.top_p = kNan}, "top_p");
  refused({.cost_weight = -1}, "cost_weight: -1");
}

TEST(ReasonText, IsDistinctForEveryReason) {
  std::vector<std::string_view> texts;
  for (int r = 0; r <= static_cast<int>(ChoiceReason::kNoText); ++r) {
    texts.push_back(ReasonText(static_cast<ChoiceReason>(r)));
    EXPECT_FALSE(texts.back().empty());
  }
  std::sort(texts.begin(), texts.end());
  EXPECT_EQ(std::adjacent_find(texts.begin(), texts.end()), texts.end());
}

TEST(JoinExperts, AddsThemBehindTheChosen) {
  Dispatch dispatch;
  ChooseExperts({0.9f, 0.1f, 0.5f}, {0, 0, 0}, {}, nullptr, {.top_p = 0.5f, .max_experts = 1}, &dispatch);
  ASSERT_THAT(dispatch.chosen, ::testing::ElementsAre(0));
  JoinExperts({2}, 0.25f, &dispatch);
  EXPECT_THAT(dispatch.chosen, ::testing::ElementsAre(0, 2));
  EXPECT_TRUE(dispatch.experts[2].chosen);
  EXPECT_EQ(dispatch.experts[2].reason, ChoiceReason::kJoins);
  EXPECT_EQ(dispatch.experts[2].probability, 0.25f);
  EXPECT_FALSE(dispatch.experts[1].chosen);
  EXPECT_FALSE(ReasonText(ChoiceReason::kJoins).empty());
}

}  // namespace
}  // namespace trivium::routing
