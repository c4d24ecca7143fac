// SPDX-License-Identifier: Apache-2.0
#include "index/learned_edges.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/edge_codes.h"
#include "tests/support/random_graph.h"

namespace trivium::index {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing_support::RandomGraph;

constexpr std::size_t kSize = 200, kDegree = 12;

ProximityGraph Copy(const ProximityGraph& graph) {
  ProximityGraph copy(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  copy.Resize(copy.size());
  return copy;
}

std::vector<std::uint32_t> ListOf(const ProximityGraph& graph, std::uint32_t vertex) {
  const auto list = graph.Neighbors(vertex);
  return {list.begin(), list.end()};
}

// `graph` with neighbours that it has not in free places or, of some vertices, in place of others.
ProximityGraph Teach(const ProximityGraph& graph) {
  ProximityGraph taught = Copy(graph);
  for (std::uint32_t vertex = 0; vertex < graph.size(); vertex += 3) {
    std::vector<std::uint32_t> list = ListOf(graph, vertex);
    for (const std::uint32_t step : {7u, 19u, 31u}) {
      const auto to = static_cast<std::uint32_t>((vertex + step) % graph.size());
      if (std::count(list.begin(), list.end(), to) > 0) continue;
      if (list.size() < kDegree) {
        list.push_back(to);
      } else {
        list[step % kDegree] = to;
      }
    }
    taught.SetNeighbors(vertex, list);
  }
  return taught;
}

TEST(LearnedEdgesTest, AreThoseThatTheGraphHadNotBefore) {
  ProximityGraph before(4);
  before.Resize(4);
  before.SetNeighbors(0, std::vector<std::uint32_t>{1, 2});
  before.SetNeighbors(1, std::vector<std::uint32_t>{0, 2, 3});
  ProximityGraph after = Copy(before);
  after.SetNeighbors(0, std::vector<std::uint32_t>{1, 2, 3});  // a free place
  after.SetNeighbors(3, std::vector<std::uint32_t>{2});
  EXPECT_THAT(FindLearnedEdges(before, after),
              ElementsAre(LearnedEdge{0, 3, kNoVertex}, LearnedEdge{3, 2, kNoVertex}));
  after = Copy(before);
  after.SetNeighbors(0, std::vector<std::uint32_t>{3, 2});
  EXPECT_THAT(FindLearnedEdges(before, after), ElementsAre(LearnedEdge{0, 3, 1}));
  // 1 gave its place to 3 and came back in that of 2.
  after.SetNeighbors(0, std::vector<std::uint32_t>{3, 1});
  EXPECT_THAT(FindLearnedEdges(before, after), ElementsAre(LearnedEdge{0, 3, 1}, LearnedEdge{0, 1, 2}));
  EXPECT_THAT(WithoutMovedEdges(FindLearnedEdges(before, after)), ElementsAre(LearnedEdge{0, 3, 1}));
  EXPECT_THAT(ListOf(UndoLearnedEdges(after, FindLearnedEdges(before, after)), 0), ElementsAre(1, 2));
}

TEST(LearnedEdgesTest, UndoingGivesTheGraphBefore) {
  const ProximityGraph before = RandomGraph(kSize, kDegree, 3);
  const ProximityGraph after = Teach(before);
  const std::vector<LearnedEdge> edges = FindLearnedEdges(before, after);
  ASSERT_GT(edges.size(), 100u);
  EXPECT_GT(std::count_if(edges.begin(), edges.end(), [](const auto& e) { return e.replaced != kNoVertex; }),
            20);
  const ProximityGraph undone = UndoLearnedEdges(after, edges);
  for (std::uint32_t vertex = 0; vertex < kSize; ++vertex) {
    EXPECT_EQ(ListOf(undone, vertex), ListOf(before, vertex)) << vertex;
  }
  EXPECT_EQ(undone.entry(), before.entry());
}

TEST(LearnedEdgesTest, UndoingLeavesWhatCameSince) {
  ProximityGraph graph(3);
  graph.Resize(4);
  // Once 0 -> {1, 2}: 3 took the place of 2; since then the edge to 1 has gone and 2 has come back.
  graph.SetNeighbors(0, std::vector<std::uint32_t>{3, 2});
  const std::vector<LearnedEdge> edges = {{0, 3, 2}, {1, 2, kNoVertex}};  // the second is not there any more
  const ProximityGraph undone = UndoLearnedEdges(graph, edges);
  EXPECT_THAT(ListOf(undone, 0), ElementsAre(2));
  // Undone already: 1 had moved to the place of 2.
  graph.SetNeighbors(0, std::vector<std::uint32_t>{1, 2});
  EXPECT_THAT(ListOf(UndoLearnedEdges(graph, std::vector<LearnedEdge>{{0, 3, 1}, {0, 1, 2}}), 0),
              ElementsAre(1, 2));
  EXPECT_THAT(ListOf(undone, 1), IsEmpty());
}

TEST(LearnedEdgesTest, OfVerticesThatStayAreNumberedAnew) {
  base::Bitmap kept(6, true);
  kept.Clear(1);
  kept.Clear(4);  // 0 2 3 5 -> 0 1 2 3
  const std::vector<LearnedEdge> edges = {{0, 2, 1}, {0, 4, 3}, {1, 2, 3}, {3, 5, 2}, {5, 0, kNoVertex}};
  EXPECT_THAT(KeepLearnedEdges(edges, kept),
              ElementsAre(LearnedEdge{0, 1, kNoVertex}, LearnedEdge{2, 3, 1}, LearnedEdge{3, 0, kNoVertex}));
}

}  // namespace
}  // namespace trivium::index
