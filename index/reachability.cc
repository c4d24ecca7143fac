// SPDX-License-Identifier: Apache-2.0
#include "index/reachability.h"

#include <cstdint>
#include <limits>
#include <vector>

#include "index/beam_search.h"
#include "index/vertex_distances.h"

namespace trivium::index {
namespace {

constexpr std::uint32_t kUnreached = std::numeric_limits<std::uint32_t>::max();

class Repair {
 public:
  Repair(const BuildSpace& space, std::size_t beam_width, ProximityGraph* graph)
      : space_(space), beam_width_(beam_width), graph_(*graph), parent_(graph->size(), kUnreached) {}

  std::size_t Run() {
    if (graph_.size() == 0) return 0;
    Spread(graph_.entry(), graph_.entry());
    std::size_t made = 0;
    for (std::uint32_t vertex = 0; vertex < graph_.size(); ++vertex) {
      if (parent_[vertex] != kUnreached || graph_.Neighbors(vertex).empty()) continue;
      Spread(vertex, Link(vertex));
      ++made;
    }
    return made;
  }

 private:
  // Marks everything reachable from `root`, itself reached from `parent`.
  void Spread(std::uint32_t root, std::uint32_t parent) {
    parent_[root] = parent;
    queue_.assign(1, root);
    for (std::size_t next = 0; next < queue_.size(); ++next) {
      const std::uint32_t vertex = queue_[next];
      for (const std::uint32_t neighbor : graph_.Neighbors(vertex)) {
        if (parent_[neighbor] != kUnreached) continue;
        parent_[neighbor] = vertex;
        queue_.push_back(neighbor);
      }
    }
  }

  // Adds an edge from a reachable vertex to `vertex`; returns the former.
  std::uint32_t Link(std::uint32_t vertex) {
    VertexDistances scorer{space_, vertex};
    IgnoringTracker tracker;
    const std::uint32_t entry = graph_.entry();
    BeamSearch(graph_, scorer, {&entry, 1}, beam_width_, &scratch_, tracker);
    for (std::size_t i = 0; i < scratch_.pool.size(); ++i) {
      if (TryEdge(scratch_.pool[i].vertex, vertex)) return scratch_.pool[i].vertex;
    }
    // The reachable vertices have fewer tree edges than their lists have places, so one of them has room.
    std::uint32_t source = 0;
    while (parent_[source] == kUnreached || !TryEdge(source, vertex)) ++source;
    return source;
  }

  // Room for one more edge, or one that is not the way by which its target was reached: the longest such.
  bool TryEdge(std::uint32_t source, std::uint32_t target) {
    const std::span<const std::uint32_t> present = graph_.Neighbors(source);
    neighbors_.assign(present.begin(), present.end());
    if (neighbors_.size() == graph_.degree_bound()) {
      std::size_t place = neighbors_.size();
      while (place > 0 && parent_[neighbors_[place - 1]] == source) --place;
      if (place == 0) return false;
      neighbors_.erase(neighbors_.begin() + place - 1);
    }
    neighbors_.push_back(target);
    graph_.SetNeighbors(source, neighbors_);
    return true;
  }

  const BuildSpace& space_;
  std::size_t beam_width_;
  ProximityGraph& graph_;
  std::vector<std::uint32_t> parent_;  // in the tree of first visits; kUnreached
  std::vector<std::uint32_t> queue_;
  std::vector<std::uint32_t> neighbors_;
  SearchScratch scratch_;
};

}  // namespace

std::size_t MakeReachable(const BuildSpace& space, std::size_t beam_width, ProximityGraph* graph) {
  return Repair(space, beam_width, graph).Run();
}

}  // namespace trivium::index
