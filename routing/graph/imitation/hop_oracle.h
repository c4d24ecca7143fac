// SPDX-License-Identifier: Apache-2.0
// How many edges lie between a vertex and the nearest true neighbour of a query: the expert that an agent
// imitates knows this, the agent does not.
//
// Source:  Baranchuk et al. 2019 (Learning to Route in Similarity Graphs), section 3.2.
// Differs: the breadth-first search goes backwards from the true neighbours, ends where every vertex asked
// for
//          has been met, and is cut off at a number of hops: beyond it all vertices are equally far, and a
//          step that offers nothing nearer teaches nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "index/proximity_graph.h"

namespace trivium::routing {

// The buffers of one thread; a byte a vertex and the queue.
struct HopScratch {
  std::vector<std::uint8_t> marks;  // zero between calls
  std::vector<std::uint32_t> queue;
};

// Holds the edges reversed: 4 bytes an edge and 8 a vertex. Immutable, safe to use concurrently.
class HopOracle {
 public:
  static constexpr std::uint32_t kNoVertex = 0xFFFFFFFFu;
  static constexpr std::size_t kMostHops = 60;

  explicit HopOracle(const index::ProximityGraph& graph);

  // hops[i] = edges on the shortest path from vertices[i] to the nearest of `targets`, at most `max_hops`;
  // max_hops + 1 where it is longer.
  //
  //   targets   vertices; kNoVertex is passed over
  //   vertices  distinct
  //   hidden    a vertex that no path may use, or kNoVertex
  //   max_hops  at most kMostHops
  //
  // Cost: O(edges within max_hops of the targets).
  void Hops(std::span<const std::uint32_t> targets, std::span<const std::uint32_t> vertices,
            std::uint32_t hidden, std::size_t max_hops, HopScratch* scratch, std::uint8_t* hops) const;

 private:
  std::vector<std::size_t> first_;      // of each vertex in sources_, then the number of edges
  std::vector<std::uint32_t> sources_;  // of the edges that lead to it
};

}  // namespace trivium::routing
