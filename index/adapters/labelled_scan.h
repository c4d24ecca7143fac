// SPDX-License-Identifier: Apache-2.0
// The exact scan over rows that an adapted library keeps in an order of its own: each has a label, the row
// number that filters and results mean.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/bitmap.h"
#include "index/row_distances.h"
#include "index/search_index.h"
#include "index/search_scratch.h"

namespace trivium::index {

// Pushes `count` rows, those with a label in `allowed` (null: all), into scratch->top under their labels.
// `label_of(i)` is the label of row i of `distances`.
template <class LabelOf>
void ScanLabelledRows(const RowDistances& distances, std::size_t count, const LabelOf& label_of,
                      const float* query, const base::Bitmap* allowed, SearchScratch* scratch,
                      SearchCounters* counters) {
  constexpr std::size_t kBatchRows = 256;
  if (scratch->rows.size() < kBatchRows) scratch->rows.resize(kBatchRows);
  if (scratch->distances.size() < kBatchRows) scratch->distances.resize(kBatchRows);
  for (std::size_t next = 0; next < count;) {
    std::size_t picked = 0;
    for (; next < count && picked < kBatchRows; ++next) {
      if (allowed == nullptr || allowed->Test(label_of(next))) {
        scratch->rows[picked++] = static_cast<std::uint32_t>(next);
      }
    }
    distances.Gather(query, scratch->rows.data(), picked, scratch->distances.data());
    counters->scan_distances += picked;
    for (std::size_t i = 0; i < picked; ++i) {
      scratch->top.Push({scratch->distances[i], static_cast<std::uint32_t>(label_of(scratch->rows[i]))});
    }
  }
}

}  // namespace trivium::index
