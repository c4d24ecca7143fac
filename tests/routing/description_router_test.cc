// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/description_router.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::RandomUnitVector;

constexpr std::size_t kDimension = 13;

std::vector<float> Predict(const DescriptionRouter& router, const std::vector<float>& query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

// Expert e is described by e texts, so the first one is silent.
ExpertFacts RandomFacts(std::size_t expert_count, base::Random* random) {
  ExpertFacts facts;
  facts.dimension = kDimension;
  facts.experts.resize(expert_count);
  for (std::size_t e = 0; e < expert_count; ++e) {
    facts.experts[e].description = base::AlignedMatrix(kDimension);
    for (std::size_t i = 0; i < e; ++i) {
      facts.experts[e].description.Append(RandomUnitVector(kDimension, random).data());
    }
  }
  return facts;
}

TEST(DescriptionRouter, AgreesWithTheSlowDefinition) {
  base::Random random(5);
  const ExpertFacts facts = RandomFacts(6, &random);
  DescriptionRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {.temperature = 0.2f}));
  for (int q = 0; q < 20; ++q) {
    const std::vector<float> query = RandomUnitVector(kDimension, &random);
    std::vector<double> worth;
    double sum = 0;
    for (const ExpertFacts::Expert& expert : facts.experts) {
      double best = -2;
      for (std::size_t i = 0; i < expert.description.rows(); ++i) {
        double cosine = 0;
        for (std::size_t c = 0; c < kDimension; ++c)
          cosine += double{query[c]} * expert.description.row(i)[c];
        best = std::max(best, cosine);
      }
      worth.push_back(best > -2 ? std::exp(best / 0.2) : 0);
      sum += worth.back();
    }
    const std::vector<float> shares = Predict(router, query);
    EXPECT_TRUE(std::isnan(shares[0]));
    for (std::size_t e = 1; e < 6; ++e) EXPECT_NEAR(shares[e], worth[e] / sum, 1e-5);
  }
}

TEST(DescriptionRouter, ARemovedExpertKeepsItsShare) {
  base::Random random(8);
  DescriptionRouter router;
  ASSERT_OK(router.TrainLabelFree(RandomFacts(4, &random), {}));
  const std::vector<float> query = RandomUnitVector(kDimension, &random);
  const std::vector<float> before = Predict(router, query);
  router.RemoveExpert(0);
  router.RemoveExpert(1);
  EXPECT_EQ(Predict(router, query), (std::vector<float>{before[1], before[3]}));
  DescriptionRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_EQ(Predict(read, query), Predict(router, query));
}

TEST(DescriptionRouter, SaysWhatItLacks) {
  DescriptionRouter router;
  ExpertFacts facts;
  facts.dimension = kDimension;
  facts.experts.resize(3);
  EXPECT_THAT(router.TrainLabelFree(facts, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("no expert has an encoded")));
}

}  // namespace
}  // namespace trivium::routing
