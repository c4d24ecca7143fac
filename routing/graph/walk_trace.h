// SPDX-License-Identifier: Apache-2.0
// One search of a graph, vertex by vertex, for people who want to see where it went.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/neighbor.h"
#include "index/graph_search.h"
#include "index/search_index.h"

namespace trivium::routing {

struct TracedVertex {
  std::uint32_t vertex = 0;
  float distance = 0;        // of its row to the query
  std::int32_t origin = -1;  // position in the walk of the first vertex with an edge to it; -1: it began here
};

struct WalkTrace {
  std::vector<TracedVertex> vertices;  // in the order in which they were expanded
  std::vector<base::Neighbor> found;   // the results, nearest first
  index::SearchCounters counters;      // of the search
};

// Walks as a search with this k and beam width (0: the default) does, and notes what it expands; what a walk
// that ran dry expands is noted before that of the wider one which follows. `searched` has a graph.
// Allocates; for inspection.
WalkTrace TraceWalk(const index::SearchableRows& searched, const float* query, std::size_t k,
                    std::size_t beam_width, index::SearchScratch* scratch);

// The positions, in the walk, of the vertices that are results or on the way to one.
std::vector<std::size_t> VerticesThatLed(const WalkTrace& trace);

}  // namespace trivium::routing
