// SPDX-License-Identifier: Apache-2.0
// Edges learned from queries: where a narrow walk for a training query ends without one of its true
// neighbours, that neighbour and the nearest one that was found get an edge each way. Real questions lie
// apart from the documents; their neighbours are near to the question and not to each other, so that a graph
// over documents alone misses edges between them.
//
// An edge takes a free place of a list. In a full one the longest edge that was not learned gives way, a
// bounded number of times: a walk costs what it did before, and no byte is added.
//
// Source:  Hua et al. 2025 (NGFix: edges between the neighbours of a query that cannot reach each other) and
//          Chen et al. 2024 (RoarGraph: neighbours of one query are linked).
// Differs: what is joined is decided by walks, not by the connectivity of the neighbourhood; no edge is added
//          beyond the degree bound.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bitmap.h"
#include "base/metric.h"
#include "index/learned_edges.h"
#include "index/proximity_graph.h"
#include "index/rows_view.h"
#include "routing/graph/query_answers.h"

namespace trivium::routing {

struct EdgeLearningOptions {
  std::size_t beam_width = 16;     // of the walks that show what is missed
  std::size_t most_replaced = 16;  // edges of one vertex that may give way
  int rounds = 2;                  // times all queries are walked for, at most
  int thread_count = 1;            // the graph does not depend on it
  std::function<void(std::size_t done, std::size_t total)> progress;  // queries; may be empty
  const std::atomic<bool>* cancelled = nullptr;
};

struct LearnedEdges {
  std::uint64_t missed = 0;  // true neighbours that the walks of the first round did not reach
  std::uint64_t added = 0;   // edges, those that replaced another included
  std::uint64_t replaced = 0;
};

// What one round leaves for the next.
struct EdgeLearning {
  index::ProximityGraph graph;          // being taught; some vertices may be unreachable meanwhile
  base::Bitmap learned;                 // a bit for each place of each list
  std::vector<std::uint16_t> replaced;  // edges of each vertex that gave way
  LearnedEdges edges;
  int rounds = 0;  // done

  // Of a graph that was not taught yet. Copies `untaught`, which need not outlive it.
  explicit EdgeLearning(const index::ProximityGraph& untaught);

  // What was learned before, which does not give way. O(edges).
  void Protect(absl::Span<const index::LearnedEdge> known);

  // The graph so far with every vertex reachable again. O(edges).
  index::ProximityGraph Reachable(const index::RowsView& rows, base::Metric metric) const;
};

// One more round; as LearnEdges. kCancelled leaves the round half done: learn no more from `learning` then.
absl::Status LearnRound(const index::RowsView& rows, base::Metric metric, const QueryAnswers& training,
                        absl::Span<const std::uint32_t> entries, const EdgeLearningOptions& options,
                        EdgeLearning* learning);

// Adds edges to `graph`, which covers `rows`; walks begin at the two of `entries` nearest to the query (none:
// at the entry of the graph). Every vertex stays reachable. Deterministic. kCancelled leaves it as it was.
// Cost: 0.1 ms a query and round at 160,955 x 384 on one thread. Memory: one bit an edge, 8 bytes for each of
// the edges found in a round.
absl::StatusOr<LearnedEdges> LearnEdges(const index::RowsView& rows, base::Metric metric,
                                        const QueryAnswers& training, absl::Span<const std::uint32_t> entries,
                                        const EdgeLearningOptions& options, index::ProximityGraph* graph);

}  // namespace trivium::routing
