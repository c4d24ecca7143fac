// SPDX-License-Identifier: Apache-2.0
// The best-first search of a proximity graph. There is one loop in the whole engine, this one: what a
// vertex's distance is (full precision, codes, learned) is a VertexScorer, what is noticed on the way
// (counters, filtered results, the path for a trainer) a SearchTracker.
//
// Source:  Malkov and Yashunin 2018 (HNSW), Alg. 2 on one layer; the sorted pool is that of Fu et al. 2019.
// Differs: all unseen neighbours of a vertex are scored in one call, so a scorer can overlap their memory
// reads.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

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

// Walks `graph` from `entries` (distinct, at least one) until the `beam_width` nearest vertices seen are all
// expanded; they are then in scratch->pool, nearest first. Deterministic. Allocates only where the scratch is
// smaller than ever before. Cost: about one hop and degree_bound / 3 distances for each place in the beam.
template <VertexScorer Scorer, SearchTracker Tracker>
void BeamSearch(const ProximityGraph& graph, Scorer& scorer, std::span<const std::uint32_t> entries,
                std::size_t beam_width, SearchScratch* scratch, Tracker& tracker) {
  const std::size_t batch_limit = std::max(graph.degree_bound(), entries.size());
  if (scratch->rows.size() < batch_limit) scratch->rows.resize(batch_limit);
  if (scratch->distances.size() < batch_limit) scratch->distances.resize(batch_limit);
  std::uint32_t* const batch = scratch->rows.data();
  float* const distances = scratch->distances.data();
  base::VisitedSet& visited = scratch->visited;
  CandidatePool& pool = scratch->pool;
  visited.Reset(graph.size());
  pool.Reset(beam_width);

  const auto score_unseen = [&](std::span<const std::uint32_t> vertices) {
    std::size_t count = 0;
    for (const std::uint32_t vertex : vertices) {
      if (!visited.Insert(vertex)) continue;
      scorer.Prefetch(vertex);
      batch[count++] = vertex;
    }
    scorer.Score(batch, count, distances);
    tracker.OnScored(batch, distances, count);
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] <= pool.Bound()) pool.Insert(distances[i], batch[i]);
    }
  };

  score_unseen(entries);
  while (const Candidate* nearest = pool.PopNearest()) {
    const std::uint32_t vertex = nearest->vertex;
    tracker.OnExpanded(vertex, nearest->distance);
    // The next vertex is likely the one now second: its record arrives while this one's neighbours are
    // scored.
    if (const Candidate* next = pool.PeekNearest()) graph.Prefetch(next->vertex);
    score_unseen(graph.Neighbors(vertex));
  }
}

}  // namespace trivium::index
