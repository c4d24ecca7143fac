// SPDX-License-Identifier: Apache-2.0
// The edges of a graph that queries taught it, each with the edge whose place it took: enough to undo them,
// to tell them from the others, and to show what they are worth.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/bitmap.h"
#include "index/proximity_graph.h"

namespace trivium::index {

// Stored as it is: 12 bytes, little-endian.
struct LearnedEdge {
  std::uint32_t from = 0, to = 0;
  std::uint32_t replaced = 0;  // the neighbour that gave way; kNoVertex: the place was free

  friend bool operator==(const LearnedEdge&, const LearnedEdge&) = default;
};
static_assert(sizeof(LearnedEdge) == 12);

// The edges of `after` that `before`, of as many vertices and no longer lists, has not in their place (a few
// it may have in another); by vertex. O(edges).
std::vector<LearnedEdge> FindLearnedEdges(const ProximityGraph& before, const ProximityGraph& after);

// Those of them that the graph had not in another place either.
std::vector<LearnedEdge> WithoutMovedEdges(absl::Span<const LearnedEdge> edges);

// All of both, by vertex; of one vertex `first` before `then`.
std::vector<LearnedEdge> MergeLearnedEdges(absl::Span<const LearnedEdge> first,
                                           std::vector<LearnedEdge> then);

// A copy of `graph` in which each learned edge that it still has gives its place back. Of the graph that was
// taught, without other changes since, that is the graph before. O(edges).
ProximityGraph UndoLearnedEdges(const ProximityGraph& graph, absl::Span<const LearnedEdge> edges);

// What is left where only the vertices set in `kept` stay, which are numbered anew in their order.
std::vector<LearnedEdge> KeepLearnedEdges(absl::Span<const LearnedEdge> edges, const base::Bitmap& kept);

}  // namespace trivium::index
