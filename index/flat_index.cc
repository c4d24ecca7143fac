// SPDX-License-Identifier: Apache-2.0
#include "index/flat_index.h"

#include "absl/strings/str_cat.h"
#include "index/row_scan.h"

namespace trivium::index {

absl::Status FlatIndex::Add(base::MatrixView rows, int thread_count) {
  if (rows.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vector dimension: ", rows.columns, ", expected ", dimension()));
  }
  return rows_.Append(rows);
}

void FlatIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                       std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchCounters local;
  scratch->top.Reset(parameters.k);
  const RowQuery prepared = scratch->query_words.Prepare(rows_.format(), query, dimension());
  ScanRows(RowDistances(rows_.view(), metric_), prepared, 0, size(), parameters.allowed, scratch, &local);
  scratch->top.DrainSorted(found);
  local.bytes_read = local.scan_distances * rows_.view().bytes_per_row();
  if (counters != nullptr) counters->Add(local);
}

}  // namespace trivium::index
