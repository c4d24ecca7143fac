// SPDX-License-Identifier: Apache-2.0
// One search of a graph by its edge codes: the expander of BeamStep together with its pool.
//
// A vertex may be offered by several neighbours, each with an estimate of its own, and waits in the pool once
// for each; what counts is the best. Expanding it gives its distance from the 4-bit code, which ranks
// results.
//
// When it stops: a pool bounded by its width expands as much for an easy query as for a hard one. Here a
// candidate is also dropped where it is farther than the k-th result by a share `slack`, so the width can be
// generous. Measured on 160,955 MiniLM vectors, hops at equal recall@10: 23 instead of 27 at 0.96, 42 instead
// of 55 at 0.988 (held-out documents); 46 instead of 56 at 0.96 (questions).
// Source:  Al-Jazzazi et al. 2025 (Distance Adaptive Beam Search), Alg. 1.
// Differs: on squared distances, some of them estimates, and beside a bound of the pool.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "base/vertex_set.h"
#include "index/beam_step.h"
#include "index/candidate_pool.h"
#include "index/edge_codes.h"
#include "index/edge_query.h"
#include "kernels/distance_table.h"

namespace trivium::index {

struct EdgeWalkOptions {
  std::size_t k = 10;
  std::size_t beam_width = 64;                     // >= k
  const base::Bitmap* allowed = nullptr;           // what may be a result; null: everything
  std::uint32_t entry = 0;                         // where to start if the codes have no starting points
  std::vector<std::uint32_t>* expanded = nullptr;  // null, or takes the vertices expanded, in order
};

// Reused from search to search. Not thread-safe. Moves only.
class EdgeWalk {
 public:
  void Begin(const EdgeCodes& codes, const EdgeWalkOptions& options, const float* query);

  // One expansion; false where the search is over.
  bool Step() { return BeamStep(*this, &pool_); }
  // Asks for the block that the next Step will read.
  void PrefetchNext();

  // The results, nearest first by their codes, somewhat more than k to be ranked by exact distances.
  std::size_t result_count() const { return results_.size(); }
  std::uint32_t result(std::size_t i) const { return results_[i].vertex; }
  std::uint64_t hops() const { return hops_; }

  // BeamStep's.
  Visit OnNearest(std::uint32_t vertex, float distance);
  void Expand(std::uint32_t vertex, CandidatePool* pool);

 private:
  void FindEntries();
  // Candidates from here on are not worth expanding.
  float Limit() const;

  const EdgeCodes* codes_ = nullptr;
  const base::Bitmap* allowed_ = nullptr;
  std::vector<std::uint32_t>* expanded_order_ = nullptr;
  decltype(kernels::DistanceTable::score_edges) score_ = nullptr;
  EdgeQuery query_;
  CandidatePool pool_, results_;
  base::VertexSet expanded_;
  std::vector<float> distances_;
  std::vector<std::uint32_t> vertices_;
  std::size_t rank_ = 0;  // of the result that slack is measured from
  std::size_t pool_width_ = 0;
  float slack_ = 0;
  // Added to a distance before its share is taken, so that zero is the least there can be: for inner products
  // |q| times the norm of the longest row, less <q, mean>.
  float zero_ = 0;
  std::uint64_t hops_ = 0;
};

}  // namespace trivium::index
