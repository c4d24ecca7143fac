// SPDX-License-Identifier: Apache-2.0
// The covariance that codes of edges are learned from, and what training with it saves.
#include "routing/graph/code_learner.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "index/graph_builder.h"
#include "routing/graph/graph_trainer.h"
#include "tests/support/random_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/straddling_queries.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredVectors;
using testing_support::RandomGraph;

// What LearnSpread says it makes, one value after the other.
std::vector<double> SlowCovariance(base::MatrixView rows, const index::EdgeCodes& codes,
                                   const QueryAnswers& training) {
  const std::size_t dimension = codes.rotation().padded_dimension(), queries = training.queries.rows;
  std::vector<double> sum(dimension * dimension, 0);
  double trace = 0, pairs = 0;
  std::vector<float> q(dimension), v(dimension), u(dimension);
  for (std::size_t i = 0; i < queries; ++i) {
    for (const std::uint32_t answer : training.AnswersOf(i)) {
      const float* mean = codes.inner_product() ? nullptr : codes.mean();
      codes.rotation().Apply(training.queries.row(i), mean, q.data());
      codes.rotation().Apply(rows.row(answer), mean, v.data());
      for (std::size_t j = 0; j < dimension; ++j) u[j] = codes.inner_product() ? q[j] : q[j] - kPull * v[j];
      for (std::size_t j = 0; j < dimension; ++j) {
        for (std::size_t k = 0; k < dimension; ++k) sum[j * dimension + k] += double{u[j]} * u[k];
        trace += double{u[j]} * u[j];
      }
      pairs += 1;
    }
  }
  const double own = static_cast<double>(queries), drawn = static_cast<double>(dimension);
  for (double& value : sum) value *= own / pairs / (own + drawn);
  for (std::size_t j = 0; j < dimension; ++j) sum[j * dimension + j] += trace / pairs / (own + drawn);
  return sum;
}

TEST(LearnSpread, IsTheCovarianceOfQueriesAroundTheirAnswersDrawnToTheIdentity) {
  for (const base::Metric metric :
       {base::Metric::kCosine, base::Metric::kSquaredL2, base::Metric::kInnerProduct}) {
    const auto rows = ClusteredVectors(120, 100, metric, 1);
    const auto queries = ClusteredVectors(30, 100, metric, 2);
    const index::ProximityGraph graph = RandomGraph(120, 8, 3);
    index::EdgeCodes codes(100, metric, 8);
    codes.Update(rows.view(), graph, 1);
    const auto answers =
        FindAnswers({.rows = rows.view(), .metric = metric, .graph = &graph, .edge_codes = &codes},
                    queries.view(), 6, 1, nullptr);
    ASSERT_OK(answers);
    const auto spread = LearnSpread(rows.view(), codes, *answers);
    EXPECT_EQ(spread->dimension, 128u);
    EXPECT_EQ(spread->pull, metric == base::Metric::kInnerProduct ? 0 : kPull);
    const std::vector<double> expected = SlowCovariance(rows.view(), codes, *answers);
    ASSERT_EQ(spread->covariance.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(spread->covariance[i], expected[i], 1e-4 * (std::abs(expected[i]) + expected[0])) << i;
    }
  }
}

TEST(LearnSpread, OfNoQueriesIsTheIdentity) {
  const auto rows = ClusteredVectors(60, 64, base::Metric::kCosine, 1);
  index::EdgeCodes codes(64, base::Metric::kCosine, 8);
  codes.Update(rows.view(), RandomGraph(60, 8, 3), 1);
  const auto spread = LearnSpread(rows.view(), codes, {.queries = rows.view().First(0), .answer_count = 4});
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t j = 0; j < 64; ++j) EXPECT_GE(spread->covariance[i * 64 + j] * (i == j ? 1 : -1), 0);
  }
  EXPECT_GT(spread->covariance[0], 0);
}

TEST(TrainGraph, LearnsCodesAloneAndThatSavesHopsOfRows) {
  constexpr base::Metric kMetric = base::Metric::kCosine;
  const auto rows = ClusteredVectors(4000, 64, kMetric, 1);
  const auto queries = testing_support::StraddlingQueries(rows.view(), 1200, 5);
  index::ProximityGraph graph(24);
  index::GraphBuildOptions build;
  build.degree_bound = 24;
  build.beam_width = 80;
  ASSERT_OK(index::ExtendGraph(rows.view(), kMetric, build, &graph));
  index::EdgeCodes codes(64, kMetric, 24);
  codes.Update(rows.view(), graph, 1);
  const index::SearchableRows searched = {
      .rows = rows.view(), .metric = kMetric, .graph = &graph, .edge_codes = &codes};
  GraphTrainingOptions options;
  options.learn_entries = options.learn_edges = false;
  const auto trained = TrainGraph(searched, queries.view(), options);
  ASSERT_OK(trained);
  // Queries between clusters gain nothing for sure: 1.04 [0.91, 1.15].
  EXPECT_LT(trained->report.queries.interval.low, 1) << trained->report.reason;
  EXPECT_LT(trained->report.rows.interval.high, 1) << trained->report.reason;
  ASSERT_NE(trained->codes->spread(), nullptr);
  EXPECT_EQ(trained->codes->Entries(), codes.Entries());

  options.learn_codes = false;
  const auto same = TrainGraph(searched, queries.view(), options);
  ASSERT_OK(same);
  EXPECT_EQ(same->codes->spread(), nullptr);
  EXPECT_EQ(std::memcmp(same->codes->blocks(), codes.blocks(), codes.size() * codes.shape().bytes), 0);
}

}  // namespace
}  // namespace trivium::routing
