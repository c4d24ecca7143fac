// SPDX-License-Identifier: Apache-2.0
// The rival of learned edges, on rows in clusters and queries between these.
#include "bench/graph_learning/roargraph.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "index/graph_search.h"
#include "tests/support/random_vectors.h"
#include "tests/support/straddling_queries.h"

namespace trivium::bench {
namespace {

using testing_support::StraddlingQueries;

constexpr base::Metric kMetric = base::Metric::kCosine;
constexpr std::size_t kRows = 1500, kDimension = 32, kNeighbors = 20;

struct World {
  base::AlignedMatrix rows = testing_support::ClusteredVectors(kRows, kDimension, kMetric, 1);
  base::AlignedMatrix queries = StraddlingQueries(rows.view(), 300, 5);
  routing::QueryAnswers answers = NearestRows(rows.view(), kMetric, queries.view(), kNeighbors, 1);
};

const World& TheWorld() {
  static const World* const world = new World;
  return *world;
}

RoarGraphOptions Options() {
  RoarGraphOptions options;
  options.degree_bound = 16;
  options.projected_degree = 8;
  options.beam_width = 40;
  return options;
}

std::vector<std::uint32_t> Words(const index::ProximityGraph& graph) {
  std::vector<std::uint32_t> words(graph.words(), graph.words() + graph.size() * graph.stride());
  words.push_back(graph.entry());
  return words;
}

void ExpectLists(const index::ProximityGraph& graph, std::size_t degree_bound) {
  ASSERT_EQ(graph.size(), kRows);
  for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
    const auto neighbors = graph.Neighbors(vertex);
    const std::set<std::uint32_t> distinct(neighbors.begin(), neighbors.end());
    EXPECT_LE(neighbors.size(), degree_bound);
    EXPECT_EQ(distinct.size(), neighbors.size()) << vertex;
    EXPECT_FALSE(distinct.contains(vertex)) << vertex;
  }
}

TEST(RoarGraph, TheRowsOfAQueryAreItsNearest) {
  const World& world = TheWorld();
  for (const std::size_t query : {0u, 63u, 64u, 299u}) {
    const auto expected =
        testing_support::SlowSearch(world.rows.view(), kMetric, world.queries.row(query), kNeighbors);
    const auto given = world.answers.AnswersOf(query);
    ASSERT_EQ(given.size(), expected.size());
    for (std::size_t i = 0; i < given.size(); ++i) EXPECT_EQ(given[i], expected[i].row) << query;
  }
}

// One query alone: nothing but its pivot and its other rows may have edges, and these join them.
TEST(RoarGraph, AProjectedQueryJoinsItsPivotToItsOtherRowsBothWays) {
  const World& world = TheWorld();
  routing::QueryAnswers one =
      NearestRows(world.rows.view(), kMetric, world.queries.view().First(1), kNeighbors, 1);
  const index::ProximityGraph graph = ProjectQueries(world.rows.view(), kMetric, one, Options());
  const auto answers = one.AnswersOf(0);
  const std::uint32_t pivot = answers.front();
  const auto joined = graph.Neighbors(pivot);
  EXPECT_EQ(joined.size(), 8u);
  for (std::uint32_t vertex = 0; vertex < kRows; ++vertex) {
    if (vertex == pivot) continue;
    const bool is_joined = std::find(joined.begin(), joined.end(), vertex) != joined.end();
    const auto back = graph.Neighbors(vertex);
    EXPECT_EQ(std::vector<std::uint32_t>(back.begin(), back.end()),
              is_joined ? std::vector<std::uint32_t>{pivot} : std::vector<std::uint32_t>{});
    if (!is_joined) continue;
    EXPECT_NE(std::find(answers.begin(), answers.end(), vertex), answers.end());
  }
  // The nearest one of them first: nothing excludes it.
  float least = 1e9f;
  std::uint32_t nearest = 0;
  for (const std::uint32_t answer : answers.subspan(1)) {
    const auto distance = testing_support::SlowDistance(base::Metric::kSquaredL2, world.rows.row(pivot),
                                                        world.rows.row(answer), kDimension);
    if (distance < least) {
      least = static_cast<float>(distance);
      nearest = answer;
    }
  }
  EXPECT_EQ(joined.front(), nearest);
}

TEST(RoarGraph, ProjectedListsKeepTheirBoundWhateverPivotsShare) {
  const World& world = TheWorld();
  ExpectLists(ProjectQueries(world.rows.view(), kMetric, world.answers, Options()), 8);
}

TEST(RoarGraph, EveryVertexIsReachableAndListsKeepTheirBound) {
  const World& world = TheWorld();
  const index::ProximityGraph graph = BuildRoarGraph(world.rows.view(), kMetric, world.answers, Options());
  ExpectLists(graph, 16);
  std::vector<bool> reached(kRows, false);
  std::vector<std::uint32_t> queue = {graph.entry()};
  reached[graph.entry()] = true;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    for (const std::uint32_t neighbor : graph.Neighbors(queue[next])) {
      if (!reached[neighbor]) queue.push_back(neighbor);
      reached[neighbor] = true;
    }
  }
  EXPECT_EQ(queue.size(), kRows);
}

TEST(RoarGraph, KeepsTheEdgesOfTheProjection) {
  const World& world = TheWorld();
  const index::ProximityGraph projected =
      ProjectQueries(world.rows.view(), kMetric, world.answers, Options());
  const index::ProximityGraph graph = BuildRoarGraph(world.rows.view(), kMetric, world.answers, Options());
  std::size_t lost = 0, kept = 0;
  for (std::uint32_t vertex = 0; vertex < kRows; ++vertex) {
    const auto list = graph.Neighbors(vertex);
    for (const std::uint32_t other : projected.Neighbors(vertex)) {
      ++(std::find(list.begin(), list.end(), other) != list.end() ? kept : lost);
    }
  }
  EXPECT_GT(kept, 1000u);
  EXPECT_LE(lost, 20u);  // to what was unreachable
}

TEST(RoarGraph, IsTheSameOnAnyNumberOfThreads) {
  const World& world = TheWorld();
  RoarGraphOptions options = Options();
  const auto expected = Words(BuildRoarGraph(world.rows.view(), kMetric, world.answers, options));
  options.thread_count = 3;
  EXPECT_EQ(Words(BuildRoarGraph(world.rows.view(), kMetric, world.answers, options)), expected);
}

TEST(RoarGraph, FindsWhatIsNearToQueriesThatItNeverSaw) {
  const World& world = TheWorld();
  const index::ProximityGraph graph = BuildRoarGraph(world.rows.view(), kMetric, world.answers, Options());
  const index::SearchableRows searched = {.rows = world.rows.view(), .metric = kMetric, .graph = &graph};
  const base::AlignedMatrix others = StraddlingQueries(world.rows.view(), 100, 77);
  index::SearchParameters parameters;
  parameters.beam_width = 64;
  parameters.method = index::SearchMethod::kGraph;
  index::SearchScratch scratch;
  std::vector<base::Neighbor> found;
  std::size_t hits = 0;
  for (std::size_t i = 0; i < others.rows(); ++i) {
    index::SearchRowsWithGraph(searched, others.row(i), parameters, &scratch, &found, nullptr);
    hits += testing_support::CountFound(
        found, testing_support::SlowSearch(world.rows.view(), kMetric, others.row(i), 10));
  }
  EXPECT_GT(hits, 950u);
}

}  // namespace
}  // namespace trivium::bench
