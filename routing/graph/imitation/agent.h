// SPDX-License-Identifier: Apache-2.0
// The agent: a best-first search of the graph from one vertex that may score a fixed number of vertices, and
// remembers what it did. It chooses the best candidate, or, with noise, draws one.
//
// Source:  Baranchuk et al. 2019, Alg. 1.
// Differs: an action is drawn by the Gumbel trick: each score gets noise once, when the vertex becomes a
//          candidate, and the largest sum is taken. Among candidates that came together this draws from the
//          softmax without replacement (Kool et al. 2019); one that comes later competes with noise of its
//          own against what the earlier ones have left.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/visited_bits.h"
#include "index/beam_search.h"
#include "index/beam_step.h"
#include "index/candidate_pool.h"
#include "index/proximity_graph.h"
#include "routing/graph/imitation/hop_oracle.h"

namespace trivium::routing {

struct WalkLimits {
  std::size_t visited = 0;                      // vertices that may be scored, the first included; >= 1
  std::uint32_t hidden = HopOracle::kNoVertex;  // a vertex that is not there for this walk
  float noise = 0;                              // scale of the Gumbel noise, in units of the score
};

// n vertices in the order in which they were scored, T expansions.
struct Walk {
  std::vector<std::uint32_t> vertices;  // n
  std::vector<float> distances;         // n: what the scorer said, without noise
  std::vector<std::uint32_t> expanded;  // T: positions in `vertices`
  std::vector<std::uint32_t> arrived;   // T: vertices scored before each expansion
};

// The buffers of one thread.
struct WalkScratch {
  base::VisitedBits visited;
  index::CandidatePool pool;
  std::vector<std::uint32_t> fresh;
  std::vector<float> distances;
};

// A VertexExpander whose candidates are positions in the walk.
template <index::VertexScorer Scorer>
class WalkExpander {
 public:
  WalkExpander(const index::ProximityGraph& graph, Scorer& scorer, const WalkLimits& limits,
               base::Random* random, WalkScratch* scratch, Walk* walk)
      : graph_(graph), scorer_(scorer), limits_(limits), random_(*random), scratch_(*scratch), walk_(*walk) {}

  void Visit(const std::uint32_t* vertices, std::size_t count, index::CandidatePool* pool) {
    std::size_t fresh = scratch_.visited.InsertNew(vertices, count, scratch_.fresh.data());
    fresh = std::min(fresh, limits_.visited - walk_.vertices.size());
    scorer_.Score(scratch_.fresh.data(), fresh, scratch_.distances.data());
    for (std::size_t i = 0; i < fresh; ++i) {
      const auto position = static_cast<std::uint32_t>(walk_.vertices.size());
      walk_.vertices.push_back(scratch_.fresh[i]);
      walk_.distances.push_back(scratch_.distances[i]);
      pool->Insert(scratch_.distances[i] - Noise(), position);
    }
  }

  index::Visit OnNearest(std::uint32_t position, float) {
    if (walk_.vertices.size() >= limits_.visited) return index::Visit::kStop;
    walk_.arrived.push_back(static_cast<std::uint32_t>(walk_.vertices.size()));
    walk_.expanded.push_back(position);
    return index::Visit::kExpand;
  }

  void Expand(std::uint32_t position, index::CandidatePool* pool) {
    const auto neighbors = graph_.Neighbors(walk_.vertices[position]);
    Visit(neighbors.data(), neighbors.size(), pool);
  }

 private:
  float Noise() {
    if (limits_.noise == 0) return 0;
    const double uniform = 1.0 - random_.Uniform();  // above 0, at most 1
    return limits_.noise * static_cast<float>(-std::log(-std::log(uniform) + 1e-30));
  }

  const index::ProximityGraph& graph_;
  Scorer& scorer_;
  const WalkLimits& limits_;
  base::Random& random_;
  WalkScratch& scratch_;
  Walk& walk_;
};

// Walks from graph.entry(), or its first neighbour where that is hidden. Ends when limits.visited vertices
// are scored or no candidate is left. Overwrites `walk`. Allocates only where a walk is longer than any
// before.
template <index::VertexScorer Scorer>
void WalkGraph(const index::ProximityGraph& graph, Scorer& scorer, const WalkLimits& limits,
               base::Random* random, WalkScratch* scratch, Walk* walk) {
  const std::size_t batch = std::max<std::size_t>(1, graph.degree_bound());
  if (scratch->fresh.size() < batch) scratch->fresh.resize(batch);
  if (scratch->distances.size() < batch) scratch->distances.resize(batch);
  scratch->visited.Reset(graph.size());
  scratch->pool.Reset(limits.visited);
  walk->vertices.clear();
  walk->distances.clear();
  walk->expanded.clear();
  walk->arrived.clear();
  std::uint32_t start = graph.entry();
  if (limits.hidden != HopOracle::kNoVertex) {
    scratch->visited.InsertNew(&limits.hidden, 1, scratch->fresh.data());
    if (start == limits.hidden) {
      if (graph.Neighbors(start).empty()) return;
      start = graph.Neighbors(start)[0];
    }
  }
  WalkExpander expander(graph, scorer, limits, random, scratch, walk);
  expander.Visit(&start, 1, &scratch->pool);
  while (index::BeamStep(expander, &scratch->pool)) {
  }
}

}  // namespace trivium::routing
