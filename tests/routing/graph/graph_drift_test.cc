// SPDX-License-Identifier: Apache-2.0
// Graphs untaught, and what training is worth.
#include "routing/graph/graph_drift.h"

#include <atomic>
#include <cstring>
#include <map>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/search_scratch.h"
#include "routing/graph/graph_trainer.h"
#include "routing/graph/untaught_graph.h"
#include "routing/graph/walk_trace.h"
#include "tests/support/straddled_graph.h"

namespace trivium::routing {
namespace {

using testing_support::StraddledGraph;
using testing_support::Words;

class Taught : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const StraddledGraph& world = StraddledGraph::Get();
    trained_ = new TrainedGraph(*TrainGraph(world.searchable(), world.queries.view(), {}));
    trained_->kept.record = "{}";
  }
  static void TearDownTestSuite() { delete trained_; }

  static index::SearchableRows Searched() {
    index::SearchableRows searched = StraddledGraph::Get().searchable();
    searched.graph = &trained_->graph;
    searched.edge_codes = &*trained_->codes;
    return searched;
  }
  static TrainedGraph* trained_;
};
TrainedGraph* Taught::trained_ = nullptr;

TEST_F(Taught, UndoneTheGraphAndItsCodesAreThoseBefore) {
  const StraddledGraph& world = StraddledGraph::Get();
  const UntaughtGraph untaught(Searched(), trained_->kept.edges, 2);
  EXPECT_EQ(Words(*untaught.searchable().graph), Words(world.graph));
  const index::EdgeCodes& codes = *untaught.searchable().edge_codes;
  EXPECT_EQ(codes.Entries(), world.codes.Entries());
  ASSERT_EQ(codes.size(), world.codes.size());
  EXPECT_EQ(std::memcmp(codes.blocks(), world.codes.blocks(), codes.size() * codes.shape().bytes), 0);
  // What it was made of is as it was.
  EXPECT_EQ(trained_->codes->Entries(), trained_->entries);
  EXPECT_NE(Words(trained_->graph), Words(world.graph));
}

TEST_F(Taught, DriftIsTheGainOnTheCanaries) {
  const base::MatrixView canaries = trained_->kept.queries.First(trained_->kept.held_out);
  const auto drift = MeasureDrift(Searched(), trained_->kept, canaries, {});
  ASSERT_OK(drift);
  EXPECT_EQ(drift->queries, 240u);
  EXPECT_EQ(drift->edges_kept, 1);
  // These are the queries of the gate, and nothing has changed since.
  EXPECT_EQ(drift->hops.ratio, trained_->report.queries.ratio);
  EXPECT_EQ(drift->hops.before, trained_->report.queries.before);
}

TEST_F(Taught, UsesAreCountedOverWalks) {
  const base::MatrixView canaries = trained_->kept.queries.First(30);
  const auto drift = MeasureDrift(Searched(), trained_->kept, canaries, {.listed_vertices = 5});
  ASSERT_OK(drift);
  std::map<std::uint32_t, VertexUse> uses;
  index::SearchScratch scratch;
  for (std::size_t i = 0; i < canaries.rows; ++i) {
    const WalkTrace trace = TraceWalk(Searched(), canaries.row(i), kCostResults, 0, &scratch);
    for (const TracedVertex& traced : trace.vertices) ++uses[traced.vertex].expanded;
    for (const std::size_t position : VerticesThatLed(trace)) ++uses[trace.vertices[position].vertex].led;
  }
  ASSERT_EQ(drift->helpful.size(), 5u);
  ASSERT_EQ(drift->harmful.size(), 5u);
  std::uint32_t most_led = 0, most_vain = 0;
  for (const auto& [vertex, use] : uses) {
    most_led = std::max(most_led, use.led);
    most_vain = std::max(most_vain, use.expanded - use.led);
  }
  EXPECT_EQ(drift->helpful[0].led, most_led);
  EXPECT_EQ(drift->harmful[0].expanded - drift->harmful[0].led, most_vain);
  for (const auto* list : {&drift->helpful, &drift->harmful}) {
    for (const VertexUse& use : *list) {
      EXPECT_EQ(use.expanded, uses[use.vertex].expanded);
      EXPECT_EQ(use.led, uses[use.vertex].led);
    }
  }
}

TEST_F(Taught, EdgesThatAreGoneAreNotKept) {
  index::ProximityGraph less = index::UndoLearnedEdges(trained_->graph, trained_->kept.edges);
  index::SearchableRows searched = Searched();
  searched.graph = &less;
  searched.edge_codes = &StraddledGraph::Get().codes;
  const auto drift = MeasureDrift(searched, trained_->kept, trained_->kept.queries.First(50), {});
  ASSERT_OK(drift);
  EXPECT_EQ(drift->edges_kept, 0);
  EXPECT_NEAR(drift->hops.ratio, 1, 0.01);
}

TEST_F(Taught, DriftStopsWhenCancelled) {
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(
      MeasureDrift(Searched(), trained_->kept, trained_->kept.queries, {.cancelled = &cancelled}).status(),
      StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace trivium::routing
