// SPDX-License-Identifier: Apache-2.0
// The rows as points of a Euclidean space, whatever their metric: pruning compares edge lengths, which needs
// a true distance.
//
//   kSquaredL2              |x - y|^2
//   kCosine, kInnerProduct  every row gets one more coordinate a_x = sqrt(M^2 - |x|^2), M the largest norm;
//                           all points then lie on a sphere of radius M and
//                           |x - y|^2 + (a_x - a_y)^2 = 2 M^2 - 2 (<x, y> + a_x a_y)
//
// For a query q with a_q = 0 the order of distances is the order of -<q, x>, so a graph built here answers
// inner product searches. For unit vectors M = 1 and a = 0.
// Source: Bachrach et al. 2014 (the reduction); used on graphs by Diskann's inner product mode.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/metric.h"
#include "index/build_codes.h"
#include "index/row_distances.h"
#include "index/rows_view.h"

namespace trivium::index {

// Safe to use concurrently, UseCodes apart. Does not own the rows, which may have any format and are used in
// it. 4 bytes a row for kInnerProduct, and those of the codes (build_codes.h).
class BuildSpace {
 public:
  // Distances are those of the rows; in int8, up to a rounding of one of the two to 15 bits.
  BuildSpace(const RowsView& rows, base::Metric metric);

  // Whether codes are worth a pass over `rows` rows where the neighbours of `changed` are to be found: not
  // much fewer may change, and rows that fit the caches have little to gain.
  static bool CodesPay(std::size_t rows, std::size_t changed) {
    return rows >= kMinRowsForCodes && changed > rows / kMaxRowsForOneChanged;
  }

  // From now on distances are those of codes, x and y rounded, a_x and a_y not: several times as fast. False,
  // and nothing changes, where rounding would blur who is near to whom: a coordinate much larger than the
  // others, or clusters much smaller than their distances. O(rows x dimension).
  bool UseCodes(int thread_count);

  std::size_t size() const { return rows_.rows; }

  // out[i] = squared distance of rows `from` and to[i], i < count. At least 0 with codes, up to rounding
  // without. Never NaN.
  void Distances(std::uint32_t from, const std::uint32_t* to, std::size_t count, float* out) const {
    if (codes_.has_value()) {
      CodedDistances(*codes_, from, to, count, out);
    } else {
      ExactDistances(from, to, count, out);
    }
  }

  __attribute__((always_inline)) void Prefetch(std::uint32_t row) const {  // see BuildCodes::Prefetch
    if (codes_.has_value()) {
      codes_->Prefetch(row);
    } else {
      distances_.Prefetch(row);
    }
  }

  // The row nearest to the mean of all points; 0 where there are none. O(rows x dimension).
  std::uint32_t Medoid() const;

 private:
  static constexpr std::size_t kMinRowsForCodes = 4096;
  static constexpr std::size_t kMaxRowsForOneChanged = 32;

  void ExactDistances(std::uint32_t from, const std::uint32_t* to, std::size_t count, float* out) const {
    if (rows_.format == RowFormat::kFloat32) {
      distances_.Gather(reinterpret_cast<const float*>(rows_.row(from)), to, count, out);
    } else {
      GatherDecoded(from, to, count, out);
    }
    if (!inner_product_) return;
    const float extra = extra_.empty() ? 0.0f : extra_[from];
    for (std::size_t i = 0; i < count; ++i) {
      const float product = extra_.empty() ? out[i] : out[i] - extra * extra_[to[i]];
      // Of two infinities the difference is NaN; std::min then returns its first argument.
      out[i] = std::min(std::numeric_limits<float>::infinity(), constant_ + 2.0f * product);
    }
  }

  void CodedDistances(const BuildCodes& codes, std::uint32_t from, const std::uint32_t* to, std::size_t count,
                      float* out) const {
    codes.Distances(from, to, count, out);
    if (extra_.empty()) return;
    for (std::size_t i = 0; i < count; ++i) {
      const float difference = extra_[from] - extra_[to[i]];
      out[i] = std::min(std::numeric_limits<float>::infinity(), out[i] + difference * difference);
    }
  }

  // As RowDistances::Gather from row `from`, decoded.
  void GatherDecoded(std::uint32_t from, const std::uint32_t* to, std::size_t count, float* out) const;

  struct Blur {
    double error = 0;    // sum of |coded - exact| over the rows nearest to one
    double allowed = 0;  // of this
  };
  Blur MeasureBlur(const BuildCodes& codes, std::uint32_t row) const;

  RowsView rows_;
  RowDistances distances_;
  std::optional<BuildCodes> codes_;
  bool inner_product_;
  float constant_ = 0;        // 2 M^2
  std::vector<float> extra_;  // a_x; empty where all are 0
};

}  // namespace trivium::index
