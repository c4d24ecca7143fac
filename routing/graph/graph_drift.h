// SPDX-License-Identifier: Apache-2.0
// What training a graph is still worth: rows come and go, and queries change.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "index/graph_search.h"
#include "index/kept_training.h"
#include "routing/graph/walk_costs.h"

namespace trivium::routing {

// How often walks came by a vertex, and how often that led somewhere.
struct VertexUse {
  std::uint32_t vertex = 0;
  std::uint32_t expanded = 0;  // walks that expanded it
  std::uint32_t led = 0;       // walks in which it was a result or on the way to one
};

struct GraphDriftOptions {
  double recall = 0.95;  // at which hops are compared
  std::size_t listed_vertices = 10;
  std::uint64_t seed = 0;
  int thread_count = 1;
  const std::atomic<bool>* cancelled = nullptr;
};

struct GraphDrift {
  std::size_t queries = 0;
  HopRatio hops;          // of the graph as it is over those of the graph untaught
  double edges_kept = 1;  // share of the learned edges that the graph still has
  // Of walks with the default beam over the graph as it is: the vertices that led to results most often, and
  // those expanded in vain most often.
  std::vector<VertexUse> helpful, harmful;
};

// Measures on `canaries`, n x dimension, of unit length for the cosine metric: those of `training` that were
// held out, or others. kCancelled. Cost: a scan and about 1 ms a query at 160,955 x 384, and UntaughtGraph.
absl::StatusOr<GraphDrift> MeasureDrift(const index::SearchableRows& searched,
                                        const index::KeptTraining& training, base::MatrixView canaries,
                                        const GraphDriftOptions& options);

}  // namespace trivium::routing
