// SPDX-License-Identifier: Apache-2.0
// The search that the paper measures: a walk by codes that may cost as much as so many distances, the best of
// it ranked again by exact distances.
//
//   a distance in d dimensions   1
//   W q                          d' (none where W is the identity)
//   a score in d' dimensions     d' / d, the vertex it starts from included
//   a vertex ranked again        1
//
// Source:  Baranchuk et al. 2019, section 4.1 (distance computations, DCS).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/metric.h"
#include "base/neighbor.h"
#include "index/proximity_graph.h"
#include "index/row_distances.h"
#include "routing/graph/imitation/agent.h"
#include "routing/graph/imitation/answered_queries.h"
#include "routing/graph/imitation/routing_codes.h"

namespace trivium::routing {

// Vertices a walk may score within `budget` distances if `rerank_width` of them are ranked again; 0 where the
// budget is too small.
std::size_t AffordableVertices(const RoutingCodes& codes, std::size_t budget, std::size_t rerank_width);

// Whether `found` is the row `target` or as near to `query`.
bool IsAnswer(const index::RowDistances& distances, const float* query, std::uint32_t target,
              const std::optional<base::Neighbor>& found);

// The buffers of one thread.
struct BudgetedScratch {
  Walk walk;
  WalkScratch walk_scratch;
  std::vector<float> projected;
  std::vector<base::Neighbor> candidates;
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;
};

// The nearest row to `query` that was found; none where the budget affords no walk. `hidden` as in agent.h.
std::optional<base::Neighbor> SearchByCodes(const index::ProximityGraph& graph,
                                            const index::RowDistances& distances, const RoutingCodes& codes,
                                            const float* query, std::size_t budget, std::size_t rerank_width,
                                            std::uint32_t hidden, BudgetedScratch* scratch);

// The same walk by exact distances alone, each vertex seen counts 1: the plain flat graph.
std::optional<base::Neighbor> SearchByDistances(const index::ProximityGraph& graph,
                                                const index::RowDistances& distances, const float* query,
                                                std::size_t budget, std::uint32_t hidden,
                                                BudgetedScratch* scratch);

// The share of `queries` whose first target, or a row as near, is found.
double RecallAtBudget(const index::ProximityGraph& graph, const index::RowDistances& distances,
                      const RoutingCodes& codes, const AnsweredQueries& queries, std::size_t budget,
                      std::size_t rerank_width, int thread_count);

}  // namespace trivium::routing
