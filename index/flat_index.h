// SPDX-License-Identifier: Apache-2.0
// An index that scans: exact for every query and filter, O(rows x dimension) a search.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "index/search_index.h"
#include "index/vector_rows.h"

namespace trivium::index {

class FlatIndex final : public SearchIndex {
 public:
  FlatIndex(std::size_t dimension, base::Metric metric, RowFormat format = RowFormat::kFloat32)
      : rows_(dimension, format, metric), metric_(metric) {}
  FlatIndex(VectorRows rows, base::Metric metric) : rows_(std::move(rows)), metric_(metric) {}

  std::size_t size() const override { return rows_.size(); }
  std::size_t dimension() const override { return rows_.dimension(); }
  base::Metric metric() const override { return metric_; }
  base::MatrixView rows() const { return rows_.view().floats(); }  // only of float32
  const RowsView& stored_rows() const { return rows_.view(); }

  absl::Status Add(base::MatrixView rows, int thread_count) override;
  void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
              std::vector<base::Neighbor>* found, SearchCounters* counters) const override;

 private:
  VectorRows rows_;
  base::Metric metric_;
};

}  // namespace trivium::index
