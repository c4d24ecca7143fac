// SPDX-License-Identifier: Apache-2.0
// Distances from a query to rows, smaller for closer, with the kernels of their format chosen once. Of a
// compressed format they are exact for the rows as they are stored.
//
// Never NaN: a row that holds one (a damaged file opened without verification) is infinitely far, so that
// sorting stays well defined.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/metric.h"
#include "index/row_query.h"
#include "index/rows_view.h"
#include "kernels/distance_table.h"

namespace trivium::index {

class RowDistances {
 public:
  RowDistances(const RowsView& rows, base::Metric metric);

  // out[i] = distance from `query` to row ids[i], i < count.
  void Gather(const RowQuery& query, const std::uint32_t* ids, std::size_t count, float* out) const;

  // out[i] = distance from `query` to row first + i, i < count.
  void Block(const RowQuery& query, std::size_t first, std::size_t count, float* out) const;

  const RowsView& rows() const { return rows_; }

  __attribute__((always_inline)) void Prefetch(std::uint32_t row) const {
    __builtin_prefetch(rows_.row(row));
  }

  // All of a row into the second cache: prefetches into the first one wait for its few outstanding misses.
  // Inlined by force: GCC 12 drops calls of functions that only prefetch.
  __attribute__((always_inline)) void PrefetchWhole(std::uint32_t row) const {
    const std::byte* first = rows_.row(row);
    for (std::size_t i = 0; i < rows_.stride_bytes; i += 64) __builtin_prefetch(first + i, 0, 2);
    if (rows_.scales != nullptr) __builtin_prefetch(rows_.scales + row, 0, 2);
    if (rows_.squared_norms != nullptr) __builtin_prefetch(rows_.squared_norms + row, 0, 2);
  }

 private:
  void Finish(std::size_t count, float* out) const;
  float FromProduct(const RowQuery& query, std::size_t row, std::int32_t product) const;

  const kernels::DistanceTable& table_;
  RowsView rows_;
  bool inner_product_;
};

}  // namespace trivium::index
