// SPDX-License-Identifier: Apache-2.0
// The last step of a build: pruning may have cut the only edge to a vertex.
#pragma once

#include <cstddef>

#include "index/build_space.h"
#include "index/proximity_graph.h"

namespace trivium::index {

// Makes every vertex that has neighbours reachable from graph->entry() (one without was taken out, see
// graph_repair.h): one that is not gets an edge from the nearest reachable
// vertex that a search of width `beam_width` finds and that has room for it, or else an edge that no path
// needs. Deterministic. O(edges), and a search for each vertex that was cut off; usually there are few.
// Needs degree_bound >= 1. Returns how many edges it made.
std::size_t MakeReachable(const BuildSpace& space, std::size_t beam_width, ProximityGraph* graph);

}  // namespace trivium::index
