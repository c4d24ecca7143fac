// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/agreement_router.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/answer_agreement.h"
#include "routing/expert/dispatch_candidates.h"
#include "routing/expert/router_bytes.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::TempDir;

constexpr std::size_t kDimension = 19, kExperts = 5, kRegions = kExperts;

// Each query has ten right documents. In its own region an expert finds nine of them, elsewhere five; the
// rest are anybody's.
std::vector<std::vector<std::uint64_t>> Answers(std::size_t region, base::Random* random) {
  const std::uint64_t first = random->Next() % 1'000'000 * 10;
  std::vector<std::vector<std::uint64_t>> answers(kExperts);
  for (std::size_t e = 0; e < kExperts; ++e) {
    for (std::uint64_t r = 0; r < 10; ++r) {
      const bool right = random->Uniform() < (e == region ? 0.9 : 0.5);
      answers[e].push_back(right ? first + r : random->Next());
    }
  }
  return answers;
}

ExpertFacts World(std::size_t query_count, ClusteredQueries* source, base::Random* random) {
  ExpertFacts facts;
  facts.agreement = PilotSet(kDimension, kExperts);
  std::vector<float> agreement(kExperts);
  for (std::size_t i = 0; i < query_count; ++i) {
    MeasureAgreement(Answers(i % kRegions, random), absl::MakeSpan(agreement));
    EXPECT_OK(facts.agreement.Add({.vector = source->Draw(i % kRegions), .utilities = agreement}));
  }
  return facts;
}

std::vector<float> Predict(const AgreementRouter& router, const std::vector<float>& query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

TEST(AgreementRouter, FindsWhoIsGoodWhereWithoutALabel) {
  base::Random random(4);
  ClusteredQueries source(kDimension, kRegions, 0.7, 5);
  const ExpertFacts facts = World(400, &source, &random);
  AgreementRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {.neighbor_count = 40}));
  int right = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const std::vector<float> utility = Predict(router, source.Draw(i % kRegions));
    right += std::max_element(utility.begin(), utility.end()) - utility.begin() ==
             static_cast<std::ptrdiff_t>(i % kRegions);
  }
  EXPECT_GE(right, 95);
}

TEST(AgreementRouter, ExpectsTheMeanOfAllWhereNeighboursDoNotCount) {
  base::Random random(6);
  ClusteredQueries source(kDimension, kRegions, 0.7, 7);
  const ExpertFacts facts = World(90, &source, &random);
  std::vector<double> mean(kExperts, 0.0);
  for (std::size_t i = 0; i < 90; ++i) {
    for (std::size_t e = 0; e < kExperts; ++e) mean[e] += facts.agreement.utilities(i)[e] / 90;
  }
  AgreementRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, RouterCandidates("agreement").back()));
  const std::vector<float> utility = Predict(router, source.Draw(0));
  for (std::size_t e = 0; e < kExperts; ++e) EXPECT_NEAR(utility[e], mean[e], 1e-3);
}

TEST(AgreementRouter, SaysWhatItLacks) {
  AgreementRouter router;
  ExpertFacts facts;
  EXPECT_THAT(router.TrainLabelFree(facts, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("router agreement: 0 queries")));
  facts.agreement = PilotSet(2, 2);  // two experts that differ
  std::vector<float> agreement(2);
  MeasureAgreement(std::vector<std::vector<std::uint64_t>>{{1, 2}, {3, 4}}, absl::MakeSpan(agreement));
  ASSERT_OK(facts.agreement.Add({.vector = {1, 0}, .utilities = agreement}));
  EXPECT_THAT(router.TrainLabelFree(facts, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of 3 experts or more")));
  facts.agreement = PilotSet(2, 3);  // three that answer alike
  ASSERT_OK(facts.agreement.Add({.vector = {1, 0}, .utilities = {1, 1, 1}}));
  EXPECT_THAT(router.TrainLabelFree(facts, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("over 1 queries")));
}

TEST(AgreementRouter, IsUnchangedByTrainingOrBytesThatFail) {
  base::Random random(8);
  ClusteredQueries source(kDimension, kRegions, 0.7, 9);
  const ExpertFacts facts = World(60, &source, &random);
  AgreementRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {}));
  const std::vector<float> query = source.Draw(1), before = Predict(router, query);
  EXPECT_FALSE(router.TrainLabelFree(ExpertFacts(), {}).ok());
  EXPECT_FALSE(router.TrainLabelFree(facts, {.neighbor_count = 0}).ok());
  // Sealed well, but nobody's votes.
  EXPECT_THAT(router.Load(SealRouterBytes("agreement", "votes")), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(
      router.Load(SealRouterBytes("agreement", SealRouterBytes("knn_utility", std::string(60, '\1')))),
      StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(Predict(router, query), before);
}

TEST(AgreementRouter, RefusesTheIndexOfOtherQueries) {
  base::Random random(10);
  ClusteredQueries source(kDimension, kRegions, 0.7, 11);
  const ExpertFacts facts = World(30, &source, &random), others = World(30, &source, &random);
  AgreementRouter router, other;
  ASSERT_OK(router.TrainLabelFree(facts, {}));
  ASSERT_OK(other.TrainLabelFree(others, {}));
  TempDir dir;
  ASSERT_OK(other.SaveIndex(dir.File("pilots")));
  AgreementRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_THAT(read.OpenIndex(dir.File("pilots")), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace trivium::routing
