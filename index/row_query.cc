// SPDX-License-Identifier: Apache-2.0
#include "index/row_query.h"

#include <algorithm>
#include <cmath>

#include "index/largest_size.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

constexpr float kLargestWord = 32766.0f;
// The sum of absolute words that keeps every sum with int8 rows below 2^31, less what rounding may add over
// 65,536 dimensions.
constexpr float kLargestSum = 16.0e6f;

}  // namespace

RowQuery RowQueryWords::Prepare(RowFormat format, const float* values, std::size_t dimension) {
  RowQuery query(values);
  if (format != RowFormat::kInt8) return query;
  query.squared_norm = kernels::ActiveDistances().inner_product_f32(values, values, dimension);
  words_.assign(dimension, 0);
  query.words = words_.data();
  // The sum of absolute values is at most the square root of the dimension times the norm.
  const float factor = std::min(kLargestWord / LargestSize(values, dimension),
                                kLargestSum / std::sqrt(static_cast<float>(dimension) * query.squared_norm));
  if (!std::isfinite(factor) || factor <= 0) return query;  // zeros, as near as float32 can tell
  for (std::size_t i = 0; i < dimension; ++i) {
    // Rounded half away from zero: unlike std::lrintf, in lanes.
    const float scaled = std::clamp(values[i] * factor, -kLargestWord, kLargestWord);
    words_[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(scaled + std::copysign(0.5f, scaled)));
  }
  query.word_scale = 1.0f / factor;
  return query;
}

}  // namespace trivium::index
