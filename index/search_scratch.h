// SPDX-License-Identifier: Apache-2.0
// The buffers of one searching thread. They grow to the largest search seen and are then reused, so that a
// search allocates nothing. One scratch may serve any number of indexes, one after the other; never two
// threads at the same time. A bit a row of the largest index searched.
#pragma once

#include <cstdint>
#include <vector>

#include "base/neighbor.h"
#include "base/top_k.h"
#include "base/visited_set.h"
#include "index/candidate_pool.h"
#include "index/edge_query.h"
#include "index/edge_walk.h"
#include "index/row_query.h"
#include "index/row_walk.h"

namespace trivium::index {

struct SearchScratch {
  base::VisitedSet visited;
  CandidatePool pool;
  base::TopK top;
  std::vector<std::uint32_t> rows;   // a batch of rows to score
  std::vector<float> distances;      // their distances
  RowQueryWords query_words;         // the query of a scan
  EdgeQuery code_query;              // the same, for codes
  std::vector<base::Neighbor> near;  // rows with estimates, to be compared
  std::vector<EdgeWalk> edge_walks;  // that take turns
  EdgeWalk wide_walk;                // of the few that ran dry
  std::vector<RowWalk> row_walks;    // likewise
};

}  // namespace trivium::index
