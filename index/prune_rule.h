// SPDX-License-Identifier: Apache-2.0
// Which of a vertex's candidate neighbours become edges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/build_space.h"

namespace trivium::index {

struct PruneCandidate {
  float distance = 0;  // squared, to the vertex
  std::uint32_t vertex = 0;
  // Part of a set that this rule kept before for the same vertex and alpha: two such candidates are known not
  // to exclude each other, which saves most of the distances when a full list takes one more edge.
  bool settled = false;

  friend bool operator<(const PruneCandidate& a, const PruneCandidate& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.vertex < b.vertex;
  }
};

// Buffers of one building thread.
struct PruneScratch {
  std::vector<PruneCandidate> left;
  std::vector<std::uint32_t> rivals;
  std::vector<float> distances;
};

// Keeps at most `degree_bound` of `candidates` as out-neighbours of one vertex: going from the nearest on, a
// candidate is dropped where a kept one k is nearer to it by the factor alpha: alpha * |k - c| <= |c|.
//
//   candidates  sorted, nearest first, distinct, without the vertex itself
//   alpha       >= 1; larger keeps longer edges and costs memory
//   kept        overwritten, nearest first; its capacity is reused
//
// Source:  Subramanya et al. 2019 (DiskANN), Alg. 2 (RobustPrune).
// Differs: distances here are squared, so alpha is squared once on entry.
// Cost:    O(candidates x degree_bound) distances. Safe to call concurrently with distinct scratches.
void RobustPrune(const BuildSpace& space, const std::vector<PruneCandidate>& candidates, float alpha,
                 std::size_t degree_bound, PruneScratch* scratch, std::vector<std::uint32_t>* kept);

}  // namespace trivium::index
