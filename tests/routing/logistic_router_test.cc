// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/logistic_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "routing/expert/class_targets.h"
#include "routing/expert/logistic_regression.h"
#include "tests/support/slow_logistic_loss.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;
using testing_support::SlowLogisticLoss;

std::vector<float> Predict(const LogisticRouter& router, absl::Span<const float> query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

// The loss is convex: where no small step in any direction gains more than a thousandth, the fit is as good
// as the best one.
TEST(FitLogistic, IsNearTheMinimumOfItsObjective) {
  constexpr std::size_t kRows = 400, kDimension = 12, kClasses = 4;
  ClusteredQueries source(kDimension, kClasses, 1.5, 3);
  base::Random random(5);
  base::AlignedMatrix rows(kDimension);
  std::vector<float> targets, weights;
  for (std::size_t i = 0; i < kRows; ++i) {
    rows.Append(source.Draw(i % kClasses).data());
    for (std::size_t c = 0; c < kClasses; ++c) targets.push_back(c == i % kClasses ? 0.75f : 0.25f / 3);
    weights.push_back(static_cast<float>(random.Uniform()));
  }
  constexpr double kRidge = 0.3;
  LogisticFit fit = FitLogistic(rows.view(), targets, weights, kClasses, kRidge, 1);
  const auto loss = [&] {
    return SlowLogisticLoss(rows.view(), targets, weights, kRidge, fit.weights, fit.bias);
  };
  const double reached = loss();
  EXPECT_LT(reached, std::log(kClasses) - 0.1);  // of knowing nothing
  for (std::size_t c = 0; c < kClasses; ++c) {
    for (std::size_t j = 0; j <= kDimension; ++j) {
      float& value = j < kDimension ? fit.weights.row(c)[j] : fit.bias[c];
      const float kept = value;
      for (const float step : {-0.2f, 0.2f}) {
        value = kept + step;
        EXPECT_GT(loss(), reached - 1e-3) << c << " " << j;
      }
      value = kept;
    }
  }
}

TEST(LogisticRouter, GivesProbabilitiesOfTheOwner) {
  ClusteredQueries source(16, 5, 1.0, 11);
  LogisticRouter router;
  ASSERT_OK(router.Train(source.Pilots(500), {.ridge = 0.1f}));
  double own = 0;
  for (std::size_t i = 0; i < 100; ++i) {
    const std::vector<float> shares = Predict(router, source.Draw(i % 5));
    EXPECT_NEAR(std::accumulate(shares.begin(), shares.end(), 0.0), 1, 1e-5);
    own += shares[i % 5] / 100;
  }
  EXPECT_GT(own, 0.9);
}

// Every query has two owners, one of which holds three times as much; raised to the fourth, 81 times.
TEST(LogisticRouter, OwnerPowerFavoursTheExpertThatHoldsMost) {
  ClusteredQueries source(16, 2, 0.7, 4);
  PilotSet pilots(16, 2);
  for (std::size_t i = 0; i < 200; ++i) {
    const std::vector<float> vector = source.Draw(i % 2);
    const std::vector<float> owners = {i % 2 == 0 ? 3.0f : 1.0f, i % 2 == 0 ? 1.0f : 3.0f};
    ASSERT_OK(pilots.Add({.vector = vector, .utilities = {0.5f, 0.5f}, .owners = owners}));
  }
  EXPECT_TRUE(HasSeveralOwners(pilots));
  EXPECT_FALSE(HasSeveralOwners(source.Pilots(10)));
  const ClassTargets shared = ClassTargetsOf(pilots, 0, 1), sharp = ClassTargetsOf(pilots, 0, 4);
  EXPECT_NEAR(shared.targets[0], 0.75, 1e-6);
  EXPECT_NEAR(sharp.targets[0], 81.0 / 82, 1e-6);
  LogisticRouter plain, powered;
  ASSERT_OK(plain.Train(pilots, {.ridge = 0.1f}));
  ASSERT_OK(powered.Train(pilots, {.ridge = 0.1f, .owner_power = 4}));
  EXPECT_NEAR(Predict(plain, source.Draw(0))[0], 0.75, 0.1);
  EXPECT_GT(Predict(powered, source.Draw(0))[0], 0.9);
}

// Utilities may say something else, or nothing at all.
TEST(LogisticRouter, BelievesOwnersBeforeUtilities) {
  ClusteredQueries source(16, 2, 0.7, 4);
  PilotSet pilots(16, 2);
  for (std::size_t i = 0; i < 200; ++i) {
    const std::vector<float> vector = source.Draw(i % 2);
    const std::vector<float> utilities = {i % 3 == 0 ? 0.0f : 0.9f, 0.0f};
    const std::vector<float> owners = {i % 2 == 0 ? 2.0f : 0.0f, i % 2 == 0 ? 0.0f : 2.0f};
    ASSERT_OK(pilots.Add({.vector = vector, .utilities = utilities, .owners = owners}));
  }
  LogisticRouter router;
  ASSERT_OK(router.Train(pilots, {.ridge = 0.1f}));
  EXPECT_GT(Predict(router, source.Draw(1))[1], 0.9f);
  EXPECT_GT(Predict(router, source.Draw(0))[0], 0.9f);
}

TEST(LogisticRouter, PilotsWithoutAnOwnerOrUtilityLeaveEverybodyAsLikely) {
  PilotSet pilots(4, 2);
  ASSERT_OK(pilots.Add({.vector = {1, 0, 0, 0}, .utilities = {0, 0}}));
  LogisticRouter router;
  ASSERT_OK(router.Train(pilots, {}));
  EXPECT_EQ(Predict(router, {1, 0, 0, 0}), (std::vector<float>{0.5f, 0.5f}));
}

TEST(LogisticRouter, ARemovedExpertKeepsItsShare) {
  ClusteredQueries source(16, 3, 1.0, 6);
  LogisticRouter router;
  ASSERT_OK(router.Train(source.Pilots(300), {.ridge = 0.1f}));
  const std::vector<float> query = source.Draw(2);
  const std::vector<float> before = Predict(router, query);
  router.RemoveExpert(1);
  EXPECT_EQ(Predict(router, query), (std::vector<float>{before[0], before[2]}));
  LogisticRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_EQ(Predict(read, query), Predict(router, query));
}

// p ~ p_pilots ^ (1 - share) x p_documents ^ share, term by term.
TEST(LogisticRouter, PoolsWhatDocumentsSay) {
  ClusteredQueries source(16, 5, 1.0, 11);
  const PilotSet pilots = source.Pilots(500);
  const ExpertFacts facts = testing_support::FactsOf(pilots);
  LogisticRouter alone, pooled;
  TreeRouter documents;
  const RouterOptions options{.ridge = 0.1f, .document_share = 0.35f};
  ASSERT_OK(TrainRouter(pilots, &facts, {.ridge = 0.1f}, &alone));
  ASSERT_OK(TrainRouter(pilots, &facts, options, &pooled));
  ASSERT_OK(documents.TrainOnGroups(facts, 0.03f));
  RouterScratch scratch;
  for (std::size_t i = 0; i < 50; ++i) {
    const std::vector<float> query = source.Draw(i % 5);
    const std::vector<float> by_pilots = Predict(alone, query), found = Predict(pooled, query);
    std::vector<float> by_documents(5), uncertainty(5);
    documents.Predict(query, &scratch, absl::MakeSpan(by_documents), absl::MakeSpan(uncertainty));
    std::vector<double> expected;
    double total = 0;
    for (std::size_t e = 0; e < 5; ++e) {
      expected.push_back(std::pow(std::max(by_pilots[e], 1e-9f), 0.65) *
                         std::pow(std::max(by_documents[e], 1e-9f), 0.35));
      total += expected.back();
    }
    for (std::size_t e = 0; e < 5; ++e) EXPECT_NEAR(found[e], expected[e] / total, 2e-3) << i << " " << e;
    if (i > 0) continue;
    LogisticRouter loaded, broken;
    const std::string bytes = pooled.Save();
    ASSERT_OK(loaded.Load(bytes));
    EXPECT_EQ(Predict(loaded, query), found);
    EXPECT_THAT(broken.Load(bytes.substr(0, bytes.size() - 1)), StatusIs(absl::StatusCode::kDataLoss));
    // Others come and go; what is left of the mass stays with whom it was.
    loaded.AddExpert();
    EXPECT_TRUE(std::isnan(Predict(loaded, query).back()));
    loaded.RemoveExpert(4);
    const std::vector<float> fewer = Predict(loaded, query);
    for (std::size_t e = 0; e < 4; ++e) EXPECT_NEAR(fewer[e], found[e], 2e-3) << e;
  }
}

TEST(LogisticRouter, LeavesDocumentsOutWhereOnesAreNotKnownOrTheSame) {
  ClusteredQueries source(16, 3, 1.0, 11);
  const PilotSet pilots = source.Pilots(90);
  const std::vector<float> query = source.Draw(1);
  const RouterOptions options{.ridge = 0.1f, .document_share = 0.5f};
  LogisticRouter alone;
  ASSERT_OK(alone.Train(pilots, options));
  ExpertFacts unknown = testing_support::FactsOf(pilots), same = testing_support::FactsOf(pilots);
  unknown.experts[1].cells.clear();
  for (ExpertFacts::Expert& expert : same.experts) expert.cells = {0, 1, 2};
  for (const ExpertFacts* facts : {&unknown, &same}) {
    LogisticRouter router;
    ASSERT_OK(TrainRouter(pilots, facts, options, &router));
    EXPECT_EQ(Predict(router, query), Predict(alone, query));
    EXPECT_EQ(router.Save(), alone.Save());
  }
}

}  // namespace
}  // namespace trivium::routing
