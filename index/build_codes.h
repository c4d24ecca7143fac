// SPDX-License-Identifier: Apache-2.0
// The rows at one signed byte a coordinate, for the distances of a build: a quarter of the memory that the
// build reads, and reading is most of what it does.
//
//   code of row x                  c = round((x - mean) / s), s = max |x_j - mean_j| / 127
//   the point it stands for        mean + s c
//   squared distance of two        s1^2 |c1|^2 + s2^2 |c2|^2 - 2 s1 s2 <c1, c2>
//
// These are the true distances of slightly moved points: equal rows are at distance 0, the triangle
// inequality that pruning leans on holds, and the error shrinks with the distance. With the norms of the rows
// themselves it would not: twins would be as far apart as rounding moved them. Distances do not depend on the
// origin, whatever the metric (see build_space.h), so the mean is taken off to make the steps finer.
//
// Source:  Aguerrebere et al. 2023 (LVQ).
// Differs: no offset a row, so that a distance is one inner product of bytes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/huge_bytes.h"
#include "index/rows_view.h"
#include "kernels/distance_table.h"

namespace trivium::index {

// Immutable and safe to use concurrently. Keeps nothing of the rows. Memory a row: a byte a coordinate,
// rounded up to 64, and 8 bytes.
class BuildCodes {
 public:
  // O(rows x dimension), in parallel; the codes are the same for any number of threads.
  BuildCodes(const RowsView& rows, int thread_count);

  // out[i] = squared distance of the points of rows `from` and to[i], i < count: at least 0, infinite for a
  // row with coordinates too large to square (or NaN), never NaN. Expects Prefetch of each row some time
  // before.
  void Distances(std::uint32_t from, const std::uint32_t* to, std::size_t count, float* out) const {
    constexpr std::size_t kBlock = 64;
    std::int32_t products[kBlock];
    const Scale own = scales_[from];
    for (std::size_t first = 0; first < count; first += kBlock) {
      const std::size_t end = std::min(count, first + kBlock);
      gather_(Code(from), Code(0), stride_, to + first, end - first, dimension_, products);
      for (std::size_t i = first; i < end; ++i) {
        const Scale other = scales_[to[i]];
        const float product = own.step * other.step * static_cast<float>(products[i - first]);
        out[i] = std::max(0.0f, own.square + other.square - 2.0f * product);
      }
    }
  }

  // All of the row, into the second cache: a build asks for hundreds of lines at a time, more than the first
  // would hold, and on AMD's Zen 4 this hint had twice the throughput of the one for the first cache.
  // Inlined by force: to GCC 12 a function that only prefetches has no effect, and a call of it is dropped.
  __attribute__((always_inline)) void Prefetch(std::uint32_t row) const {
    const std::int8_t* const code = Code(row);
    for (std::size_t byte = 0; byte < stride_; byte += 64) __builtin_prefetch(code + byte, 0, 2);
    __builtin_prefetch(&scales_[row], 0, 2);
  }

 private:
  struct Scale {
    float step = 0;    // s
    float square = 0;  // s^2 |c|^2
  };

  std::int8_t* Code(std::size_t row) { return reinterpret_cast<std::int8_t*>(codes_.data()) + row * stride_; }
  const std::int8_t* Code(std::size_t row) const {
    return reinterpret_cast<const std::int8_t*>(codes_.data()) + row * stride_;
  }

  std::size_t dimension_;
  std::size_t stride_;  // bytes from one code to the next
  base::HugeBytes codes_;
  std::vector<Scale> scales_;
  decltype(kernels::DistanceTable::inner_product_i8_gather) gather_;
};

}  // namespace trivium::index
