// SPDX-License-Identifier: Apache-2.0
#include "index/graph_repair.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "index/graph_builder.h"
#include "index/graph_search.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredVectors;

constexpr base::Metric kMetrics[] = {base::Metric::kCosine, base::Metric::kInnerProduct,
                                     base::Metric::kSquaredL2};

GraphBuildOptions SmallOptions() {
  GraphBuildOptions options;
  options.degree_bound = 16;
  options.beam_width = 64;
  options.threads = 1;
  return options;
}

ProximityGraph BuildGraph(base::MatrixView rows, base::Metric metric, const GraphBuildOptions& options) {
  ProximityGraph graph(options.degree_bound);
  EXPECT_OK(ExtendGraph(rows, metric, options, &graph));
  return graph;
}

// `size` bits, the share set among them chosen by `seed`.
base::Bitmap RandomSet(std::size_t size, double share, std::uint64_t seed) {
  base::Random random(seed);
  base::Bitmap set(size);
  for (std::size_t i = 0; i < size; ++i) {
    if (random.Uniform() < share) set.Set(i);
  }
  return set;
}

std::vector<std::uint32_t> Words(const ProximityGraph& graph) {
  std::vector<std::uint32_t> words(graph.words(), graph.words() + graph.size() * graph.stride());
  words.push_back(graph.entry());
  return words;
}

// Removed vertices are in no list and have none; all others are reachable.
void ExpectRemoved(const ProximityGraph& graph, const base::Bitmap& removed) {
  const auto is_removed = [&](std::uint32_t vertex) {
    return vertex < removed.size() && removed.Test(vertex);
  };
  std::vector<bool> reached(graph.size(), false);
  std::vector<std::uint32_t> queue = {graph.entry()};
  reached[graph.entry()] = true;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    ASSERT_FALSE(is_removed(queue[next])) << queue[next];
    const auto neighbors = graph.Neighbors(queue[next]);
    const std::set<std::uint32_t> distinct(neighbors.begin(), neighbors.end());
    ASSERT_EQ(distinct.size(), neighbors.size());
    ASSERT_FALSE(distinct.contains(queue[next]));
    for (const std::uint32_t neighbor : neighbors) {
      if (!reached[neighbor]) queue.push_back(neighbor);
      reached[neighbor] = true;
    }
  }
  EXPECT_EQ(queue.size(), graph.size() - removed.CountSet());
  for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
    EXPECT_EQ(graph.Neighbors(vertex).empty(), is_removed(vertex) || queue.size() == 1) << vertex;
  }
}

// Share of the 10 nearest rows, none of them removed, that a walk with this beam finds.
double Recall(base::MatrixView rows, base::Metric metric, const ProximityGraph& graph,
              base::MatrixView queries, const base::Bitmap& removed) {
  base::Bitmap allowed(rows.rows, true);
  removed.ForEachSet([&](std::size_t i) { allowed.Clear(i); });
  SearchParameters parameters;
  parameters.k = 10;
  parameters.beam_width = 40;
  parameters.method = SearchMethod::kGraph;
  SearchScratch scratch;
  std::vector<base::Neighbor> found;
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries.rows; ++q) {
    SearchRowsWithGraph({rows, metric, &graph}, queries.row(q), parameters, &scratch, &found, nullptr);
    hits += testing_support::CountFound(
        found, testing_support::SlowSearch(rows, metric, queries.row(q), 10, &allowed));
  }
  return static_cast<double>(hits) / static_cast<double>(10 * queries.rows);
}

TEST(RemoveVertices, LeavesNothingOfTheRemovedAndReachesTheRest) {
  for (const base::Metric metric : kMetrics) {
    for (const double share : {0.01, 0.3, 0.9}) {
      const auto vectors = ClusteredVectors(1500, 10, metric, 1);
      ProximityGraph graph = BuildGraph(vectors.view(), metric, SmallOptions());
      base::Bitmap removed = RandomSet(1500, share, 3);
      removed.Set(graph.entry());
      ASSERT_OK(RemoveVertices(vectors.view(), metric, SmallOptions(), removed, &graph));
      ExpectRemoved(graph, removed);
    }
  }
}

TEST(RemoveVertices, GivesTheSameGraphOnAnyNumberOfThreads) {
  const auto vectors = ClusteredVectors(5000, 12, base::Metric::kCosine, 1);  // enough for codes
  const base::Bitmap removed = RandomSet(5000, 0.4, 3);
  std::vector<std::uint32_t> expected;
  for (const int threads : {1, 2, 3}) {
    GraphBuildOptions options = SmallOptions();
    options.threads = threads;
    ProximityGraph graph = BuildGraph(vectors.view(), base::Metric::kCosine, options);
    ASSERT_OK(RemoveVertices(vectors.view(), base::Metric::kCosine, options, removed, &graph));
    if (threads == 1) expected = Words(graph);
    EXPECT_EQ(Words(graph), expected) << threads;
  }
}

// Rows on a line, each joined to the next: what lies on both sides of an emptied stretch knows each other
// then.
TEST(RemoveVertices, JoinsWhatWasJoinedThroughAnEmptiedRegion) {
  constexpr std::uint32_t kRows = 20;
  std::vector<float> values(kRows);
  ProximityGraph graph(4);
  graph.Resize(kRows);
  for (std::uint32_t i = 0; i < kRows; ++i) {
    values[i] = static_cast<float>(i);
    std::vector<std::uint32_t> neighbors;
    if (i > 0) neighbors.push_back(i - 1);
    if (i + 1 < kRows) neighbors.push_back(i + 1);
    graph.SetNeighbors(i, neighbors);
  }
  graph.set_entry(0);
  base::Bitmap removed(kRows);
  for (std::uint32_t i = 7; i < 12; ++i) removed.Set(i);
  GraphBuildOptions options = SmallOptions();
  options.degree_bound = 4;
  ASSERT_OK(RemoveVertices(base::MatrixView(values.data(), kRows, 1), base::Metric::kSquaredL2, options,
                           removed, &graph));
  const auto below = graph.Neighbors(6), above = graph.Neighbors(12);
  EXPECT_TRUE(std::find(below.begin(), below.end(), 12u) != below.end());
  EXPECT_TRUE(std::find(above.begin(), above.end(), 6u) != above.end());
}

// Many lists lose one neighbour; they must not lose others for it.
TEST(RemoveVertices, AFewRemovedDoNotThinTheListsOfTheRest) {
  const auto degree = [](const ProximityGraph& graph, std::size_t vertices) {
    std::size_t edges = 0;
    for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) edges += graph.Neighbors(vertex).size();
    return static_cast<double>(edges) / static_cast<double>(vertices);
  };
  for (const base::Metric metric : kMetrics) {
    const auto vectors = ClusteredVectors(3000, 24, metric, 1);
    ProximityGraph graph = BuildGraph(vectors.view(), metric, SmallOptions());
    const double before = degree(graph, graph.size());
    const base::Bitmap removed = RandomSet(3000, 0.1, 5);
    ASSERT_OK(RemoveVertices(vectors.view(), metric, SmallOptions(), removed, &graph));
    EXPECT_GE(degree(graph, graph.size() - removed.CountSet()), 0.93 * before);
  }
}

TEST(RemoveVertices, WholeClustersMayGo) {
  const auto vectors = ClusteredVectors(1000, 8, base::Metric::kSquaredL2, 1, 10);
  ProximityGraph graph = BuildGraph(vectors.view(), base::Metric::kSquaredL2, SmallOptions());
  base::Bitmap removed(1000);
  for (std::size_t i = 0; i < 1000; ++i) {
    if (i / 100 % 3 != 1 || i % 100 < 97) removed.Set(i);  // 9 rows remain, 3 in each of 3 clusters
  }
  ASSERT_OK(RemoveVertices(vectors.view(), base::Metric::kSquaredL2, SmallOptions(), removed, &graph));
  ExpectRemoved(graph, removed);
}

TEST(RemoveVertices, RepeatedRemovalsDownToOneVertexAndGrowthFromIt) {
  const auto vectors = ClusteredVectors(400, 8, base::Metric::kSquaredL2, 1);
  const base::MatrixView first = vectors.view().First(200);
  ProximityGraph graph = BuildGraph(first, base::Metric::kSquaredL2, SmallOptions());
  base::Bitmap removed(200);
  for (const std::size_t left : {150u, 20u, 2u, 1u}) {
    for (std::size_t i = left; i < 200; ++i) removed.Set(i);
    ASSERT_OK(RemoveVertices(first, base::Metric::kSquaredL2, SmallOptions(), removed, &graph));
    ExpectRemoved(graph, removed);
  }
  ASSERT_OK(ExtendGraph(vectors.view(), base::Metric::kSquaredL2, SmallOptions(), &graph));
  EXPECT_EQ(graph.size(), 400u);
  ExpectRemoved(graph, removed);
}

TEST(RemoveVertices, RecallAfterHalfTheRowsWereExchangedIsThatOfAFreshBuild) {
  constexpr std::size_t kOld = 6000, kNew = 3000;
  for (const base::Metric metric : kMetrics) {
    const auto old_rows = ClusteredVectors(kOld, 24, metric, 1);
    const auto new_rows = ClusteredVectors(kNew, 24, metric, 2);
    const auto queries = ClusteredVectors(200, 24, metric, 3);
    ProximityGraph graph = BuildGraph(old_rows.view(), metric, SmallOptions());
    base::Bitmap removed(kOld);
    base::Random random(5);
    while (removed.CountSet() < kOld / 2) removed.Set(random.Below(kOld));
    ASSERT_OK(RemoveVertices(old_rows.view(), metric, SmallOptions(), removed, &graph));
    base::AlignedMatrix rows(24), alive(24);
    for (std::size_t i = 0; i < kOld; ++i) {
      rows.Append(old_rows.row(i));
      if (!removed.Test(i)) alive.Append(old_rows.row(i));
    }
    for (std::size_t i = 0; i < kNew; ++i) {
      rows.Append(new_rows.row(i));
      alive.Append(new_rows.row(i));
    }
    ASSERT_OK(ExtendGraph(rows.view(), metric, SmallOptions(), &graph));
    ExpectRemoved(graph, removed);

    const double churned = Recall(rows.view(), metric, graph, queries.view(), removed);
    const double fresh = Recall(alive.view(), metric, BuildGraph(alive.view(), metric, SmallOptions()),
                                queries.view(), base::Bitmap());
    EXPECT_GE(churned, fresh - 0.01) << static_cast<int>(metric);
    EXPECT_GE(fresh, 0.9) << static_cast<int>(metric);
  }
}

TEST(RemoveVertices, RefusesWhatDoesNotFit) {
  const auto vectors = ClusteredVectors(50, 8, base::Metric::kCosine, 1);
  ProximityGraph graph = BuildGraph(vectors.view(), base::Metric::kCosine, SmallOptions());
  const auto expect_refused = [&](base::MatrixView rows, const base::Bitmap& removed,
                                  const std::string& what) {
    EXPECT_THAT(RemoveVertices(rows, base::Metric::kCosine, SmallOptions(), removed, &graph),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what)));
  };
  expect_refused(vectors.view(), base::Bitmap(49, true), "bits of removed: 49, expected 50");
  expect_refused(vectors.view().First(49), base::Bitmap(50), "rows: 49");
  expect_refused(vectors.view(), base::Bitmap(50, true), "left in the graph: 0");
  GraphBuildOptions options = SmallOptions();
  options.alpha = 3;
  EXPECT_THAT(RemoveVertices(vectors.view(), base::Metric::kCosine, options, base::Bitmap(50), &graph),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("alpha")));
}

TEST(RemoveVertices, StopsWhenCancelled) {
  const auto vectors = ClusteredVectors(100, 8, base::Metric::kCosine, 1);
  ProximityGraph graph = BuildGraph(vectors.view(), base::Metric::kCosine, SmallOptions());
  const auto before = Words(graph);
  const std::atomic<bool> cancelled = true;
  GraphBuildOptions options = SmallOptions();
  options.cancelled = &cancelled;
  EXPECT_THAT(RemoveVertices(vectors.view(), base::Metric::kCosine, options, RandomSet(100, 0.5, 1), &graph),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(Words(graph), before);
}

}  // namespace
}  // namespace trivium::index
