// SPDX-License-Identifier: Apache-2.0
// A graph whose edges mean nothing: for what only reads them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "index/proximity_graph.h"

namespace trivium::testing_support {

// Each vertex gets up to `degree_bound` distinct neighbours, every fourth vertex as many as there can be.
inline index::ProximityGraph RandomGraph(std::size_t size, std::size_t degree_bound, std::uint64_t seed) {
  base::Random random(seed);
  index::ProximityGraph graph(degree_bound);
  graph.Resize(size);
  for (std::uint32_t vertex = 0; vertex < size; ++vertex) {
    const std::size_t most = std::min(degree_bound, size - 1);
    const std::size_t degree = vertex % 4 == 0 ? most : random.Below(most + 1);
    std::vector<std::uint32_t> neighbors;
    while (neighbors.size() < degree) {
      const auto neighbor = static_cast<std::uint32_t>(random.Below(size));
      if (neighbor == vertex || std::count(neighbors.begin(), neighbors.end(), neighbor) > 0) continue;
      neighbors.push_back(neighbor);
    }
    if (!neighbors.empty()) graph.SetNeighbors(vertex, neighbors);
  }
  return graph;
}

}  // namespace trivium::testing_support
