// SPDX-License-Identifier: Apache-2.0
// Edge learning round by round: each is judged on queries held out, the best one is kept, and the first that
// does not improve is the last.
#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/metric.h"
#include "index/proximity_graph.h"
#include "index/rows_view.h"
#include "routing/graph/edge_learner.h"
#include "routing/graph/query_answers.h"

namespace trivium::routing {

// What rounds have made so far.
struct EdgeRounds {
  EdgeLearning learning;
  index::ProximityGraph best;  // after the best round, every vertex reachable; before any, of no vertices
  LearnedEdges best_edges;
  std::vector<double> curve;  // hops over those of the untaught graph, after each round

  explicit EdgeRounds(const index::ProximityGraph& untaught) : learning(untaught) {}
};

// Goes on from where `rounds` are, until there are options.rounds of them or the last one did not improve.
//
//   judge        hops of a graph over those of the untaught one, on queries held out
//   after_round  may be empty; an error of either ends it
//
// Deterministic where `judge` is: stopped after a round and gone on with, rounds are what they would have
// been. Memory: three graphs. kCancelled as LearnRound.
absl::Status LearnInRounds(const index::RowsView& rows, base::Metric metric, const QueryAnswers& training,
                           absl::Span<const std::uint32_t> entries, const EdgeLearningOptions& options,
                           const std::function<absl::StatusOr<double>(const index::ProximityGraph&)>& judge,
                           const std::function<absl::Status(const EdgeRounds&)>& after_round,
                           EdgeRounds* rounds);

}  // namespace trivium::routing
