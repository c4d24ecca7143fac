// SPDX-License-Identifier: Apache-2.0
// The exact scan: the oracle of every other search, and the fastest one over few rows.
#pragma once

#include <cstddef>

#include "base/bitmap.h"
#include "index/row_distances.h"
#include "index/search_index.h"
#include "index/search_scratch.h"

namespace trivium::index {

// Pushes the rows [first, last) that are in `allowed` (null: all of them) into scratch->top with their
// distances to `query`. Adds the distances computed to `counters->scan_distances`. O(rows x dimension);
// where few rows are allowed, O(allowed x dimension).
void ScanRows(const RowDistances& distances, const RowQuery& query, std::size_t first, std::size_t last,
              const base::Bitmap* allowed, SearchScratch* scratch, SearchCounters* counters);

}  // namespace trivium::index
