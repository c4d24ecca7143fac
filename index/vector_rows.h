// SPDX-License-Identifier: Apache-2.0
// The rows of an index in its format: owned and growing, or borrowed from a mapped file, read through one
// view either way. Appending to borrowed rows copies them first. Not thread-safe while appending.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/huge_bytes.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/rows_view.h"

namespace trivium::index {

class VectorRows {
 public:
  explicit VectorRows(std::size_t dimension, RowFormat format = RowFormat::kFloat32,
                      base::Metric metric = base::Metric::kCosine);

  // `owner` keeps the memory behind `view` alive.
  VectorRows(RowsView view, std::shared_ptr<const void> owner);

  VectorRows(VectorRows&&) = default;
  VectorRows& operator=(VectorRows&&) = default;

  std::size_t size() const { return view_.rows; }
  std::size_t dimension() const { return view_.columns; }
  RowFormat format() const { return view_.format; }
  const RowsView& view() const { return view_; }

  // Encodes `rows`, which have dimension() columns and are none of this object's own memory.
  // kInvalidArgument, with nothing appended: a component is beyond the format's range.
  absl::Status Append(base::MatrixView rows);

  // Copies row i of `from`, of the same format, dimension and metric, as it is.
  void AppendEncoded(const RowsView& from, std::size_t i);
  // Makes room for `size` rows in all.
  void Reserve(std::size_t size);

 private:
  void Encode(std::size_t at, const float* row);
  void UpdateView(std::size_t size);

  base::HugeBytes owned_;
  std::vector<float> scales_, squared_norms_;  // kInt8
  bool keeps_norms_ = false;
  RowsView view_;
  std::shared_ptr<const void> owner_;  // null: view_ shows what is owned
};

}  // namespace trivium::index
