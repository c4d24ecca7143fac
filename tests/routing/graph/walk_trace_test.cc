// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/walk_trace.h"

#include <algorithm>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/search_scratch.h"
#include "tests/support/straddled_graph.h"

namespace trivium::routing {
namespace {

using ::testing::ElementsAre;
using testing_support::StraddledGraph;

bool HasEdge(const index::ProximityGraph& graph, std::uint32_t from, std::uint32_t to) {
  const auto list = graph.Neighbors(from);
  return std::find(list.begin(), list.end(), to) != list.end();
}

// With codes of edges, and by the distances of the rows.
TEST(TraceWalk, IsTheWalkOfASearch) {
  const StraddledGraph& world = StraddledGraph::Get();
  index::SearchScratch scratch;
  for (const bool codes : {true, false}) {
    SCOPED_TRACE(codes);
    index::SearchableRows searched = world.searchable();
    if (!codes) searched.edge_codes = nullptr;
    for (std::size_t i = 0; i < 20; ++i) {
      const float* query = world.queries.row(i);
      std::vector<base::Neighbor> found;
      index::SearchCounters counters;
      index::SearchRowsWithGraph(searched, query,
                                 {.k = 10, .beam_width = 24, .method = index::SearchMethod::kGraph}, &scratch,
                                 &found, &counters);
      const WalkTrace trace = TraceWalk(searched, query, 10, 24, &scratch);
      EXPECT_EQ(trace.found, found);
      EXPECT_EQ(trace.counters, counters);
      ASSERT_EQ(trace.vertices.size(), counters.hops);
      std::set<std::uint32_t> seen;
      for (std::size_t v = 0; v < trace.vertices.size(); ++v) {
        const TracedVertex& traced = trace.vertices[v];
        EXPECT_TRUE(seen.insert(traced.vertex).second);
        EXPECT_NEAR(traced.distance,
                    testing_support::SlowDistance(StraddledGraph::kMetric, query,
                                                  world.rows.row(traced.vertex), StraddledGraph::kDimension),
                    1e-5);
        ASSERT_LT(traced.origin, static_cast<std::int32_t>(v));
        const std::size_t before = traced.origin < 0 ? v : traced.origin;
        for (std::size_t earlier = 0; earlier < before; ++earlier) {
          EXPECT_FALSE(HasEdge(world.graph, trace.vertices[earlier].vertex, traced.vertex));
        }
        if (traced.origin >= 0) {
          EXPECT_TRUE(HasEdge(world.graph, trace.vertices[traced.origin].vertex, traced.vertex));
        }
      }
      EXPECT_EQ(trace.vertices[0].origin, -1);
    }
  }
}

TEST(VerticesThatLed, AreResultsAndTheVerticesOnTheWayToThem) {
  WalkTrace trace;
  trace.vertices = {{.vertex = 9, .origin = -1},                              // on the way to 7
                    {.vertex = 8, .origin = 0},                               // on the way to 7
                    {.vertex = 5, .origin = 0},                               // in vain
                    {.vertex = 7, .origin = 1},  {.vertex = 4, .origin = 2},  // in vain
                    {.vertex = 3, .origin = -1}};                             // begun at a result
  trace.found = {{0.1f, 7}, {0.2f, 3}, {0.3f, 77}};
  EXPECT_THAT(VerticesThatLed(trace), ElementsAre(0, 1, 3, 5));
  trace.found.clear();
  EXPECT_TRUE(VerticesThatLed(trace).empty());
}

}  // namespace
}  // namespace trivium::routing
