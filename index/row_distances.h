// SPDX-License-Identifier: Apache-2.0
// Distances from a query to rows of one matrix, smaller for closer, with the kernel chosen once.
//
// Never NaN: a row that holds one (a damaged file opened without verification) is infinitely far, so that
// sorting stays well defined.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/matrix_view.h"
#include "base/metric.h"
#include "kernels/distance_table.h"

namespace trivium::index {

class RowDistances {
 public:
  RowDistances(base::MatrixView rows, base::Metric metric)
      : rows_(rows), inner_product_(base::UsesInnerProduct(metric)) {
    const kernels::DistanceTable& table = kernels::ActiveDistances();
    gather_ = inner_product_ ? table.inner_product_f32_gather : table.squared_l2_f32_gather;
    block_ = inner_product_ ? table.inner_product_f32_rows : table.squared_l2_f32_rows;
  }

  // out[i] = distance from `query` to row ids[i], i < count.
  void Gather(const float* query, const std::uint32_t* ids, std::size_t count, float* out) const {
    gather_(query, rows_.data, rows_.stride, ids, count, rows_.columns, out);
    Finish(count, out);
  }

  // out[i] = distance from `query` to row first + i, i < count.
  void Block(const float* query, std::size_t first, std::size_t count, float* out) const {
    block_(query, rows_.row(first), rows_.stride, count, rows_.columns, out);
    Finish(count, out);
  }

  void Prefetch(std::uint32_t row) const { __builtin_prefetch(rows_.row(row)); }

 private:
  void Finish(std::size_t count, float* out) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    // std::min returns its first argument where the second is NaN.
    if (inner_product_) {
      for (std::size_t i = 0; i < count; ++i) out[i] = std::min(kInfinity, -out[i]);
    } else {
      for (std::size_t i = 0; i < count; ++i) out[i] = std::min(kInfinity, out[i]);
    }
  }

  base::MatrixView rows_;
  bool inner_product_;
  decltype(kernels::DistanceTable::inner_product_f32_gather) gather_;
  decltype(kernels::DistanceTable::inner_product_f32_rows) block_;
};

}  // namespace trivium::index
