// SPDX-License-Identifier: Apache-2.0
// The search of a proximity graph by the distances of neighbours that were not seen yet: what a vertex's
// distance is (full precision, codes of rows) is a VertexScorer, what is noticed on the way (counters,
// filtered results, the path for a trainer) a SearchTracker.
//
// Source:  see beam_step.h.
// Differs: all unseen neighbours of a vertex are scored in one call, so a scorer can overlap their memory
//          reads.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "index/beam_step.h"
#include "index/proximity_graph.h"
#include "index/search_scratch.h"

namespace trivium::index {

// Knows the query. Score writes the distance of each of `count` distinct vertices, never NaN; Prefetch is a
// hint that a vertex will be scored next.
template <class S>
concept VertexScorer = requires(S& scorer, const std::uint32_t* vertices, std::size_t count, float* distances,
                                std::uint32_t vertex) {
  { scorer.Score(vertices, count, distances) } -> std::same_as<void>;
  { scorer.Prefetch(vertex) } -> std::same_as<void>;
};

// Hears of every vertex scored (in batches) and of every vertex expanded (nearest first).
template <class T>
concept SearchTracker = requires(T& tracker, const std::uint32_t* vertices, const float* distances,
                                 std::size_t count, std::uint32_t vertex, float distance) {
  { tracker.OnScored(vertices, distances, count) } -> std::same_as<void>;
  { tracker.OnExpanded(vertex, distance) } -> std::same_as<void>;
};

// Offers the neighbours in a graph that were not seen yet, each once.
template <VertexScorer Scorer, SearchTracker Tracker>
class NeighborExpander {
 public:
  // The scratch holds the pool and the set of seen vertices, both empty.
  NeighborExpander(const ProximityGraph& graph, Scorer& scorer, SearchScratch* scratch, Tracker& tracker)
      : graph_(graph), scorer_(scorer), scratch_(*scratch), tracker_(tracker) {}

  void ScoreUnseen(std::span<const std::uint32_t> vertices, CandidatePool* pool) {
    std::uint32_t* const batch = scratch_.rows.data();
    float* const distances = scratch_.distances.data();
    std::size_t count = 0;
    for (const std::uint32_t vertex : vertices) {
      if (!scratch_.visited.Insert(vertex)) continue;
      scorer_.Prefetch(vertex);
      batch[count++] = vertex;
    }
    scorer_.Score(batch, count, distances);
    tracker_.OnScored(batch, distances, count);
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] <= pool->Bound()) pool->Insert(distances[i], batch[i]);
    }
  }

  Visit OnNearest(std::uint32_t vertex, float distance) {
    tracker_.OnExpanded(vertex, distance);
    return Visit::kExpand;
  }

  void Expand(std::uint32_t vertex, CandidatePool* pool) {
    // The next vertex is likely the one now second: its record arrives while this one's neighbours are
    // scored.
    if (const auto next = pool->PeekNearest()) graph_.Prefetch(next->vertex);
    ScoreUnseen(graph_.Neighbors(vertex), pool);
  }

 private:
  const ProximityGraph& graph_;
  Scorer& scorer_;
  SearchScratch& scratch_;
  Tracker& tracker_;
};

// Walks `graph` from `entries` (distinct, at least one) until the `beam_width` nearest vertices seen are all
// expanded; they are then in scratch->pool, nearest first. Deterministic. Allocates only where the scratch is
// smaller than ever before. Cost: about one hop and degree_bound / 3 distances for each place in the beam.
template <VertexScorer Scorer, SearchTracker Tracker>
void BeamSearch(const ProximityGraph& graph, Scorer& scorer, std::span<const std::uint32_t> entries,
                std::size_t beam_width, SearchScratch* scratch, Tracker& tracker) {
  const std::size_t batch_limit = std::max(graph.degree_bound(), entries.size());
  if (scratch->rows.size() < batch_limit) scratch->rows.resize(batch_limit);
  if (scratch->distances.size() < batch_limit) scratch->distances.resize(batch_limit);
  scratch->visited.Reset(graph.size());
  scratch->pool.Reset(beam_width);
  NeighborExpander expander(graph, scorer, scratch, tracker);
  expander.ScoreUnseen(entries, &scratch->pool);
  while (BeamStep(expander, &scratch->pool)) {
  }
}

}  // namespace trivium::index
