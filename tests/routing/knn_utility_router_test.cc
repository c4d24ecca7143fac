// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/knn_utility_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The definition in the header, with a full sort.
std::vector<double> SlowUtilities(const PilotSet& pilots, const RouterOptions& options,
                                  const std::vector<float>& query) {
  const std::vector<float> weights = BalancedWeights(pilots, options.class_balance);
  const UtilityPrior prior = PriorOf(pilots, weights);
  std::vector<std::pair<double, std::size_t>> nearest;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    double cosine = 0;
    for (std::size_t c = 0; c < query.size(); ++c)
      cosine += static_cast<double>(query[c]) * pilots.vectors().row(i)[c];
    nearest.push_back({-cosine, i});
  }
  std::sort(nearest.begin(), nearest.end());
  nearest.resize(std::min(nearest.size(), options.neighbor_count));
  std::vector<double> utilities;
  for (std::size_t e = 0; e < pilots.expert_count(); ++e) {
    double sum = options.shrinkage * prior.mean[e];
    double total = options.shrinkage;
    for (const auto& [distance, i] : nearest) {
      const double u = pilots.utilities(i)[e];
      if (std::isnan(u)) continue;
      const double weight = weights[i] * std::exp((nearest[0].first - distance) / options.temperature);
      sum += weight * u;
      total += weight;
    }
    utilities.push_back(sum / total);
  }
  return utilities;
}

PilotSet RandomPilots(ClusteredQueries* source, std::size_t count, double unknown_share, std::uint64_t seed) {
  base::Random random(seed);
  PilotSet pilots(24, 4);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> utilities(4);
    for (float& u : utilities) {
      u = random.Uniform() < unknown_share ? kNan : static_cast<float>(random.Uniform());
    }
    const std::vector<float> vector = source->Draw(random.Below(4));
    EXPECT_OK(pilots.Add(
        {.vector = vector, .utilities = utilities, .weight = static_cast<float>(1 + random.Below(3))}));
  }
  return pilots;
}

TEST(KnnUtilityRouter, AgreesWithTheSlowDefinition) {
  ClusteredQueries source(24, 4, 0.8, 5);
  for (std::size_t count : {1, 7, 60, 301}) {
    const PilotSet pilots = RandomPilots(&source, count, 0.3, count);
    for (const RouterOptions& options :
         {RouterOptions{.class_balance = 0, .neighbor_count = 9, .temperature = 0.1f, .shrinkage = 0.5f},
          RouterOptions{
              .class_balance = 1, .neighbor_count = 40, .temperature = 0.03f, .shrinkage = 0.01f}}) {
      KnnUtilityRouter router;
      ASSERT_OK(router.Train(pilots, options));
      RouterScratch scratch;
      std::vector<float> utility(4), uncertainty(4);
      for (int q = 0; q < 20; ++q) {
        const std::vector<float> query = source.Draw(q % 4);
        router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
        const std::vector<double> expected = SlowUtilities(pilots, options, query);
        for (std::size_t e = 0; e < 4; ++e) {
          if (std::isnan(expected[e])) {
            EXPECT_TRUE(std::isnan(utility[e]));
          } else {
            EXPECT_NEAR(utility[e], expected[e], 2e-4) << count << " pilots, expert " << e;
          }
        }
      }
    }
  }
}

TEST(KnnUtilityRouter, GraphAndScanPredictAlike) {
  ClusteredQueries source(24, 4, 0.8, 6);
  const PilotSet pilots = RandomPilots(&source, 2000, 0.0, 9);
  KnnUtilityRouter scan, graph;
  ASSERT_OK(scan.Train(pilots, {.neighbor_count = 50}));
  ASSERT_OK(graph.Train(pilots, {.neighbor_count = 50, .graph_threshold = 1}));
  RouterScratch scratch;
  double difference = 0;
  std::vector<float> a(4), b(4), uncertainty(4);
  for (int q = 0; q < 100; ++q) {
    const std::vector<float> query = source.Draw(q % 4);
    scan.Predict(query, &scratch, absl::MakeSpan(a), absl::MakeSpan(uncertainty));
    graph.Predict(query, &scratch, absl::MakeSpan(b), absl::MakeSpan(uncertainty));
    for (int e = 0; e < 4; ++e) difference += std::abs(a[e] - b[e]) / 400;
  }
  EXPECT_LT(difference, 0.002);
}

TEST(KnnUtilityRouter, IsLessCertainWherePilotsDisagreeOrAreFew) {
  PilotSet pilots(2, 3);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> utilities = {0.5f, i % 2 == 0 ? 0.0f : 1.0f,
                                          i < 2 ? static_cast<float>(i) : kNan};
    ASSERT_OK(pilots.Add({.vector = {1, 0}, .utilities = utilities}));
  }
  KnnUtilityRouter router;
  ASSERT_OK(router.Train(pilots, {.class_balance = 0}));
  RouterScratch scratch;
  std::vector<float> utility(3), uncertainty(3);
  router.Predict({1, 0}, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  EXPECT_NEAR(uncertainty[0], 0, 1e-3);
  EXPECT_NEAR(uncertainty[1], 0.5 / std::sqrt(20.0), 0.01);
  EXPECT_GT(uncertainty[2], 2 * uncertainty[1]);
}

TEST(KnnUtilityRouter, FallsBackToThePriorWhereNoNeighbourKnowsTheExpert) {
  PilotSet pilots(2, 2);
  for (int i = 0; i < 5; ++i) ASSERT_OK(pilots.Add({.vector = {1, 0}, .utilities = {0.5f, kNan}}));
  ASSERT_OK(pilots.Add({.vector = {0, 1}, .utilities = {0.5f, 0.75f}}));
  KnnUtilityRouter router;
  ASSERT_OK(router.Train(pilots, {.neighbor_count = 5, .shrinkage = 0}));
  RouterScratch scratch;
  std::vector<float> utility(2), uncertainty(2);
  router.Predict({1, 0}, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  EXPECT_FLOAT_EQ(utility[1], 0.75f);
}

TEST(KnnUtilityRouter, VotesAddUpToTheUtility) {
  ClusteredQueries source(24, 4, 1.0, 9);
  const PilotSet pilots = RandomPilots(&source, 150, 0.3, 10);
  KnnUtilityRouter router;
  ASSERT_OK(router.Train(pilots, {.neighbor_count = 40, .shrinkage = 0.5f}));
  RouterScratch scratch;
  for (int round = 0; round < 20; ++round) {
    const std::vector<float> query = source.Draw(static_cast<std::size_t>(round) % 4);
    std::vector<float> utility(4), uncertainty(4);
    router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    for (std::size_t e = 0; e < 4; ++e) {
      const auto votes = router.ExplainVotes(query, e, &scratch);
      ASSERT_TRUE(votes.has_value());
      ASSERT_EQ(votes->pilots.size(), 40u);
      double sum = votes->prior_contribution, shares = 0;
      for (std::size_t i = 0; i < 40; ++i) {
        const PilotVote& vote = votes->pilots[i];
        const float known = pilots.utilities(vote.pilot)[e];
        EXPECT_EQ(vote.share == 0, std::isnan(known));
        EXPECT_NEAR(vote.contribution, std::isnan(known) ? 0 : vote.share * known, 1e-6);
        EXPECT_TRUE(i == 0 || vote.cosine <= votes->pilots[i - 1].cosine);
        sum += vote.contribution;
        shares += vote.share;
      }
      EXPECT_NEAR(sum, utility[e], 1e-5);
      EXPECT_LT(shares, 1);  // the prior has the rest
    }
  }
  router.AddExpert();
  EXPECT_FALSE(router.ExplainVotes(source.Draw(0), 4, &scratch).has_value());
}

}  // namespace
}  // namespace trivium::routing
