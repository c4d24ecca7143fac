// SPDX-License-Identifier: Apache-2.0
#include "index/graph_builder.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "index/graph_search.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredVectors;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

void ExpectInvariants(const ProximityGraph& graph, std::size_t rows) {
  ASSERT_EQ(graph.size(), rows);
  std::vector<bool> reached(rows, false);
  std::vector<std::uint32_t> queue = {graph.entry()};
  reached[graph.entry()] = true;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    for (const std::uint32_t neighbor : graph.Neighbors(queue[next])) {
      ASSERT_LT(neighbor, rows);
      if (!reached[neighbor]) queue.push_back(neighbor);
      reached[neighbor] = true;
    }
  }
  EXPECT_EQ(queue.size(), rows) << "vertices reachable from the entry";
  for (std::uint32_t vertex = 0; vertex < rows; ++vertex) {
    const auto neighbors = graph.Neighbors(vertex);
    EXPECT_LE(neighbors.size(), graph.degree_bound());
    const std::set<std::uint32_t> distinct(neighbors.begin(), neighbors.end());
    EXPECT_EQ(distinct.size(), neighbors.size()) << vertex;
    EXPECT_FALSE(distinct.contains(vertex)) << vertex;
  }
}

std::vector<std::uint32_t> Words(const ProximityGraph& graph) {
  std::vector<std::uint32_t> words(graph.words(), graph.words() + graph.size() * graph.stride());
  words.push_back(graph.entry());
  return words;
}

GraphBuildOptions SmallOptions() {
  GraphBuildOptions options;
  options.degree_bound = 12;
  options.beam_width = 40;
  options.threads = 1;
  return options;
}

ProximityGraph BuildGraph(base::MatrixView rows, base::Metric metric, const GraphBuildOptions& options) {
  ProximityGraph graph(options.degree_bound);
  EXPECT_OK(ExtendGraph(rows, metric, options, &graph));
  return graph;
}

TEST(GraphBuilder, KeepsItsInvariantsForEveryMetricAndSize) {
  for (const base::Metric metric : kMetrics) {
    for (const std::size_t rows : {1u, 2u, 3u, 13u, 100u, 1500u}) {
      SCOPED_TRACE(rows);
      const auto vectors = ClusteredVectors(rows, 10, metric, 1);
      ExpectInvariants(BuildGraph(vectors.view(), metric, SmallOptions()), rows);
    }
  }
}

TEST(GraphBuilder, BuildsTheSameGraphOnAnyNumberOfThreads) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(2000, 12, metric, 2);
    GraphBuildOptions options = SmallOptions();
    const auto expected = Words(BuildGraph(vectors.view(), metric, options));
    for (const int threads : {2, 3}) {
      options.threads = threads;
      EXPECT_EQ(Words(BuildGraph(vectors.view(), metric, options)), expected) << threads;
    }
  }
}

// From 4,096 rows on distances are those of codes, where these are good enough.
TEST(GraphBuilder, KeepsItsInvariantsWithCodesOnAnyNumberOfThreads) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(5000, 16, metric, 2);
    GraphBuildOptions options = SmallOptions();
    const ProximityGraph graph = BuildGraph(vectors.view(), metric, options);
    ExpectInvariants(graph, 5000);
    options.threads = 3;
    EXPECT_EQ(Words(BuildGraph(vectors.view(), metric, options)), Words(graph));
  }
}

TEST(GraphBuilder, GraphsBuiltWithCodesFindTheNearestRows) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(5000, 24, metric, 2);
    const auto queries = ClusteredVectors(100, 24, metric, 9);
    GraphBuildOptions options = SmallOptions();
    options.degree_bound = 16;
    options.beam_width = 80;
    const ProximityGraph graph = BuildGraph(vectors.view(), metric, options);
    SearchParameters parameters;
    parameters.k = 10;
    parameters.beam_width = 64;
    parameters.method = SearchMethod::kGraph;
    SearchScratch scratch;
    std::vector<base::Neighbor> found;
    std::size_t hits = 0;
    for (std::size_t q = 0; q < 100; ++q) {
      SearchRowsWithGraph({vectors.view(), metric, &graph}, queries.row(q), parameters, &scratch, &found,
                          nullptr);
      hits += testing_support::CountFound(
          found, testing_support::SlowSearch(vectors.view(), metric, queries.row(q), 10));
    }
    EXPECT_GE(hits, 960u) << static_cast<int>(metric);
  }
}

TEST(GraphBuilder, TheSeedChoosesTheOrderOfInsertion) {
  const auto vectors = ClusteredVectors(500, 12, base::Metric::kCosine, 2);
  GraphBuildOptions options = SmallOptions();
  const auto first = Words(BuildGraph(vectors.view(), base::Metric::kCosine, options));
  options.seed = 1;
  EXPECT_NE(Words(BuildGraph(vectors.view(), base::Metric::kCosine, options)), first);
}

TEST(GraphBuilder, ReachesEveryVertexAmongManyEqualRows) {
  base::AlignedMatrix vectors(700, 6);  // all zero
  const auto others = ClusteredVectors(100, 6, base::Metric::kSquaredL2, 3);
  for (std::size_t i = 0; i < others.rows(); ++i) vectors.Append(others.row(i));
  GraphBuildOptions options = SmallOptions();
  options.degree_bound = 4;
  options.beam_width = 8;
  ExpectInvariants(BuildGraph(vectors.view(), base::Metric::kSquaredL2, options), 800);
}

TEST(GraphBuilder, ReachesEveryVertexOfFarApartClustersWithFewEdges) {
  auto vectors = ClusteredVectors(1200, 3, base::Metric::kSquaredL2, 3, 40);
  for (std::size_t i = 0; i < vectors.rows(); ++i) vectors.row(i)[0] += static_cast<float>(i / 30 * 1000);
  GraphBuildOptions options = SmallOptions();
  options.degree_bound = 4;
  options.beam_width = 8;
  options.alpha = 1.0f;
  ExpectInvariants(BuildGraph(vectors.view(), base::Metric::kSquaredL2, options), 1200);
}

TEST(GraphBuilder, ExtendsAGraphAndKeepsItsInvariants) {
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(1500, 10, metric, 4);
    GraphBuildOptions options = SmallOptions();
    ProximityGraph graph(options.degree_bound);
    for (const std::size_t rows : {1u, 2u, 700u, 701u, 1500u}) {
      const base::MatrixView part(vectors.row(0), rows, 10, vectors.stride());
      ASSERT_OK(ExtendGraph(part, metric, options, &graph));
      ExpectInvariants(graph, rows);
    }
    ASSERT_OK(ExtendGraph(vectors.view(), metric, options, &graph));  // nothing to add
    EXPECT_EQ(graph.size(), 1500u);
  }
}

// Vertices that enter together do not see each other; where they are all there is of a region, few may.
TEST(GraphBuilder, RowsOfANewRegionFindEachOther) {
  constexpr std::size_t kRows = 5000, kOld = 4750;  // of 20 clusters one after the other
  const auto vectors = ClusteredVectors(kRows, 24, base::Metric::kCosine, 4);
  ProximityGraph graph(16);
  ASSERT_OK(ExtendGraph(vectors.view().First(kOld), base::Metric::kCosine, SmallOptions(), &graph));
  ASSERT_OK(ExtendGraph(vectors.view(), base::Metric::kCosine, SmallOptions(), &graph));
  std::size_t found = 0;
  for (std::uint32_t vertex = kOld; vertex < kRows; ++vertex) {
    const auto nearest =
        testing_support::SlowSearch(vectors.view(), base::Metric::kCosine, vectors.row(vertex), 2);
    const auto neighbors = graph.Neighbors(vertex);
    found += std::find(neighbors.begin(), neighbors.end(), nearest[1].row) != neighbors.end();
  }
  EXPECT_GE(found, 0.95 * (kRows - kOld));
}

TEST(GraphBuilder, ReportsProgressUpToTheTotal) {
  const auto vectors = ClusteredVectors(300, 8, base::Metric::kCosine, 2);
  GraphBuildOptions options = SmallOptions();
  std::uint64_t last = 0, total = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t of) {
    EXPECT_GT(done, last);
    last = done;
    total = of;
  };
  BuildGraph(vectors.view(), base::Metric::kCosine, options);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 300u);
}

TEST(GraphBuilder, StopsWhenCancelledAndLeavesNoHalfGraph) {
  const auto vectors = ClusteredVectors(1000, 8, base::Metric::kCosine, 2);
  GraphBuildOptions options = SmallOptions();
  std::atomic<bool> cancelled = false;
  options.cancelled = &cancelled;
  options.progress = [&](std::uint64_t done, std::uint64_t) { cancelled = done > 200; };
  ProximityGraph graph(options.degree_bound);
  EXPECT_THAT(ExtendGraph(vectors.view(), base::Metric::kCosine, options, &graph),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(graph.size(), 0u);
  options.cancelled = nullptr;
  EXPECT_OK(ExtendGraph(vectors.view(), base::Metric::kCosine, options, &graph));
  ExpectInvariants(graph, 1000);
}

TEST(GraphBuilder, RefusesOptionsOutOfRangeByName) {
  const auto vectors = ClusteredVectors(10, 8, base::Metric::kCosine, 2);
  const auto expect_refused = [&](auto change, const std::string& name) {
    GraphBuildOptions options;
    change(&options);
    ProximityGraph graph(16);
    EXPECT_THAT(ExtendGraph(vectors.view(), base::Metric::kCosine, options, &graph),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(name)));
  };
  expect_refused([](GraphBuildOptions* options) { options->degree_bound = 3; }, "degree_bound: 3");
  expect_refused([](GraphBuildOptions* options) { options->degree_bound = 257; }, "degree_bound: 257");
  expect_refused([](GraphBuildOptions* options) { options->beam_width = 7; }, "beam_width: 7");
  expect_refused([](GraphBuildOptions* options) { options->alpha = 0.9f; }, "alpha: 0.9");
  expect_refused([](GraphBuildOptions* options) { options->alpha = NAN; }, "alpha: nan");
}

}  // namespace
}  // namespace trivium::index
