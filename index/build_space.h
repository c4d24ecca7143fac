// SPDX-License-Identifier: Apache-2.0
// The rows as points of a Euclidean space, whatever their metric: pruning compares edge lengths, which needs
// a true distance.
//
//   kSquaredL2              |x - y|^2
//   kCosine, kInnerProduct  every row gets one more coordinate a_x = sqrt(M^2 - |x|^2), M the largest norm;
//                           all points then lie on a sphere of radius M and
//                           |x - y|^2 = 2 M^2 - 2 (<x, y> + a_x a_y)
//
// For a query q with a_q = 0 the order of distances is the order of -<q, x>, so a graph built here answers
// inner product searches. For unit vectors M = 1 and a = 0.
// Source: Bachrach et al. 2014 (the reduction); used on graphs by Diskann's inner product mode.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/row_distances.h"

namespace trivium::index {

// Immutable and safe to use concurrently. Does not own the rows. 4 bytes a row for kInnerProduct.
class BuildSpace {
 public:
  BuildSpace(base::MatrixView rows, base::Metric metric);

  std::size_t size() const { return rows_.rows; }

  // out[i] = squared distance of rows `from` and to[i], i < count. Never NaN.
  void Distances(std::uint32_t from, const std::uint32_t* to, std::size_t count, float* out) const {
    distances_.Gather(rows_.row(from), to, count, out);
    if (!inner_product_) return;
    const float extra = extra_.empty() ? 0.0f : extra_[from];
    for (std::size_t i = 0; i < count; ++i) {
      const float product = extra_.empty() ? out[i] : out[i] - extra * extra_[to[i]];
      // Of two infinities the difference is NaN; std::min then returns its first argument.
      out[i] = std::min(std::numeric_limits<float>::infinity(), constant_ + 2.0f * product);
    }
  }

  void Prefetch(std::uint32_t row) const { distances_.Prefetch(row); }

  // The row nearest to the mean of all points; 0 where there are none. O(rows x dimension).
  std::uint32_t Medoid() const;

 private:
  base::MatrixView rows_;
  RowDistances distances_;
  bool inner_product_;
  float constant_ = 0;        // 2 M^2
  std::vector<float> extra_;  // a_x; empty where all are 0
};

}  // namespace trivium::index
