// SPDX-License-Identifier: Apache-2.0
#include "index/beam_search.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::index {
namespace {

// Vertices on a line, each knowing its `reach` neighbours to either side.
ProximityGraph LineGraph(std::uint32_t size, std::uint32_t reach) {
  ProximityGraph graph(2 * reach);
  graph.Resize(size);
  for (std::uint32_t vertex = 0; vertex < size; ++vertex) {
    std::vector<std::uint32_t> neighbors;
    for (std::uint32_t step = 1; step <= reach; ++step) {
      if (vertex >= step) neighbors.push_back(vertex - step);
      if (vertex + step < size) neighbors.push_back(vertex + step);
    }
    graph.SetNeighbors(vertex, neighbors);
  }
  return graph;
}

struct LineScorer {
  float target;
  void Score(const std::uint32_t* vertices, std::size_t count, float* distances) {
    for (std::size_t i = 0; i < count; ++i) distances[i] = std::abs(static_cast<float>(vertices[i]) - target);
  }
  void Prefetch(std::uint32_t) {}
};

struct Recorder {
  std::vector<std::uint32_t> scored;
  std::vector<std::uint32_t> expanded;
  void OnScored(const std::uint32_t* vertices, const float*, std::size_t count) {
    scored.insert(scored.end(), vertices, vertices + count);
  }
  void OnExpanded(std::uint32_t vertex, float) { expanded.push_back(vertex); }
};

std::vector<std::uint32_t> PoolVertices(const SearchScratch& scratch) {
  std::vector<std::uint32_t> vertices;
  for (std::size_t i = 0; i < scratch.pool.size(); ++i) vertices.push_back(scratch.pool[i].vertex);
  return vertices;
}

TEST(BeamSearch, WalksToTheTargetAndReturnsAFullBeamSorted) {
  const ProximityGraph graph = LineGraph(1000, 3);
  SearchScratch scratch;
  Recorder recorder;
  LineScorer scorer{700.25f};
  const std::uint32_t entry = 0;
  BeamSearch(graph, scorer, {&entry, 1}, 5, &scratch, recorder);
  EXPECT_EQ(PoolVertices(scratch), (std::vector<std::uint32_t>{700, 701, 699, 702, 698}));
}

TEST(BeamSearch, ScoresNoVertexTwiceAndExpandsOnlyScoredOnes) {
  const ProximityGraph graph = LineGraph(300, 4);
  SearchScratch scratch;
  Recorder recorder;
  LineScorer scorer{150.0f};
  const std::vector<std::uint32_t> entries = {0, 299};
  BeamSearch(graph, scorer, entries, 10, &scratch, recorder);
  const std::set<std::uint32_t> scored(recorder.scored.begin(), recorder.scored.end());
  EXPECT_EQ(scored.size(), recorder.scored.size());
  const std::set<std::uint32_t> expanded(recorder.expanded.begin(), recorder.expanded.end());
  EXPECT_EQ(expanded.size(), recorder.expanded.size());
  for (const std::uint32_t vertex : expanded) EXPECT_TRUE(scored.contains(vertex));
}

TEST(BeamSearch, StartsFromTheNearestOfSeveralEntries) {
  const ProximityGraph graph = LineGraph(1000, 1);
  SearchScratch scratch;
  LineScorer scorer{900.0f};
  Recorder one, two;
  const std::vector<std::uint32_t> entries = {0, 890};
  BeamSearch(graph, scorer, std::span(entries).first(1), 4, &scratch, one);
  BeamSearch(graph, scorer, entries, 4, &scratch, two);
  EXPECT_GT(one.expanded.size(), 900u);
  EXPECT_LT(two.expanded.size(), 20u);
  EXPECT_EQ(scratch.pool[0].vertex, 900u);
}

TEST(BeamSearch, AScratchUsedBeforeGivesTheSameWalk) {
  const ProximityGraph large = LineGraph(500, 2), small = LineGraph(20, 1);
  LineScorer scorer{11.0f};
  const std::uint32_t entry = 3;
  SearchScratch used, fresh;
  Recorder ignored, first, second;
  BeamSearch(large, scorer, {&entry, 1}, 50, &used, ignored);
  BeamSearch(small, scorer, {&entry, 1}, 4, &used, first);
  BeamSearch(small, scorer, {&entry, 1}, 4, &fresh, second);
  EXPECT_EQ(first.expanded, second.expanded);
  EXPECT_EQ(first.scored, second.scored);
  EXPECT_EQ(PoolVertices(used), PoolVertices(fresh));
}

TEST(BeamSearch, ReturnsWhatIsReachableWhenTheBeamIsWider) {
  ProximityGraph graph = LineGraph(10, 1);
  graph.SetNeighbors(5, std::vector<std::uint32_t>{4});  // 6 to 9 are cut off
  SearchScratch scratch;
  Recorder recorder;
  LineScorer scorer{9.0f};
  const std::uint32_t entry = 0;
  BeamSearch(graph, scorer, {&entry, 1}, 64, &scratch, recorder);
  EXPECT_EQ(PoolVertices(scratch), (std::vector<std::uint32_t>{5, 4, 3, 2, 1, 0}));
}

}  // namespace
}  // namespace trivium::index
