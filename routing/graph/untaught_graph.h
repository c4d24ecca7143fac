// SPDX-License-Identifier: Apache-2.0
// A graph as it was before queries taught it.
#pragma once

#include <optional>

#include "absl/types/span.h"
#include "index/edge_codes.h"
#include "index/graph_search.h"
#include "index/learned_edges.h"
#include "index/proximity_graph.h"

namespace trivium::routing {

// Searches start at a sample of vertices again, and learned edges give their places back; rows and edges that
// came or went since stay as they are. Memory: the graph and its edge codes. Cost: a copy of both, and the
// codes of vertices whose edges were learned, or of all where codes were.
class UntaughtGraph {
 public:
  // Borrows the rows and row codes of `taught`.
  UntaughtGraph(const index::SearchableRows& taught, absl::Span<const index::LearnedEdge> edges,
                int thread_count);

  const index::SearchableRows& searchable() const { return searchable_; }

 private:
  index::ProximityGraph graph_;
  std::optional<index::EdgeCodes> codes_;
  index::SearchableRows searchable_;
};

}  // namespace trivium::routing
