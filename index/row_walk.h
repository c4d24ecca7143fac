// SPDX-License-Identifier: Apache-2.0
// One search of a graph by row codes: the expander of BeamStep together with its pool.
//
// Unseen neighbours are scored by their codes; a vertex that is expanded gets its distance from its stored
// row, which arrives together with its neighbours and ranks the results. Stops as EdgeWalk does, by a share
// of the k-th result's distance.
//
// A hop has two halves, so that walks which take turns wait for nothing: one reads the neighbours of the
// vertex and asks for the codes of the unseen ones, the other scores these and asks for the row and the
// neighbours of the vertex that is nearest now.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "base/visited_bits.h"
#include "index/beam_step.h"
#include "index/candidate_pool.h"
#include "index/proximity_graph.h"
#include "index/row_code_query.h"
#include "index/row_codes.h"
#include "index/row_distances.h"
#include "index/row_query.h"

namespace trivium::index {

struct RowWalkOptions {
  std::size_t k = 10;
  std::size_t beam_width = 64;            // >= k
  const base::Bitmap* allowed = nullptr;  // what may be a result; null: everything
  base::Metric metric = base::Metric::kCosine;
  std::vector<std::uint32_t>* expanded = nullptr;  // null, or takes the vertices expanded, in order
};

// Reused from search to search. Not thread-safe. Moves only.
class RowWalk {
 public:
  // Everything is borrowed until the walk is over.
  void Begin(const ProximityGraph& graph, const RowCodes& codes, const RowDistances& distances,
             const RowWalkOptions& options, const float* query);

  // Half an expansion; false where the search is over.
  bool Step();

  // The results, nearest first, with the distances of their rows: at most k.
  std::size_t result_count() const { return std::min(k_, results_.size()); }
  Candidate result(std::size_t i) const { return results_[i]; }
  std::uint64_t hops() const { return hops_; }
  std::uint64_t code_distances() const { return code_distances_; }

  // BeamStep's.
  Visit OnNearest(std::uint32_t vertex, float distance);
  void Expand(std::uint32_t vertex, CandidatePool* pool);

 private:
  void FindEntries();
  void ScoreFresh();
  // Candidates from here on are not worth expanding.
  float Limit() const;

  const ProximityGraph* graph_ = nullptr;
  const RowCodes* codes_ = nullptr;
  const RowDistances* distances_of_rows_ = nullptr;
  const base::Bitmap* allowed_ = nullptr;
  std::vector<std::uint32_t>* expanded_order_ = nullptr;
  RowQueryWords words_;
  RowQuery query_ = nullptr;
  RowCodeQuery code_query_;
  CandidatePool pool_, results_;
  base::VisitedBits seen_;
  std::vector<std::uint32_t> fresh_;  // neighbours to be scored
  std::size_t fresh_count_ = 0;
  std::vector<float> distances_;
  bool scoring_ = false;  // what the next half is
  bool unit_ = false;     // vectors have unit length
  std::size_t k_ = 0;
  std::size_t rank_ = 0;  // of the result that slack is measured from
  std::size_t pool_width_ = 0;
  float slack_ = 0;
  float zero_ = 0;  // see EdgeWalk
  std::uint64_t hops_ = 0, code_distances_ = 0;
};

}  // namespace trivium::index
