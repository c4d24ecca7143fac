// SPDX-License-Identifier: Apache-2.0
#include "index/row_code_query.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "index/largest_size.h"

namespace trivium::index {
namespace {

// Integer sums wait here before they become distances.
constexpr std::size_t kSums = 64;

}  // namespace

void RowCodeQuery::Prepare(const RowCodes& codes, const float* query) {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  const std::size_t dimension = codes.padded_dimension();
  if (rotated_.size() < dimension) {
    rotated_.resize(dimension);
    values_.resize(dimension);
  }
  float* rotated = rotated_.data();
  codes.rotation().Apply(query, rotated);
  squared_norm_ = table.inner_product_f32(rotated, rotated, dimension);
  if (codes.inner_product()) {
    center_distance_ = -table.inner_product_f32(rotated, codes.center(), dimension);
  } else {
    for (std::size_t i = 0; i < dimension; ++i) rotated[i] -= codes.center()[i];
    center_distance_ = table.inner_product_f32(rotated, rotated, dimension);
  }
  const float largest = LargestSize(rotated, dimension);
  const float factor = 127 / largest;
  if (std::isfinite(factor) && factor > 0) {
    table.round_to_bytes(rotated, dimension, factor, values_.data());
    value_scale_ = largest / 127;
  } else {  // zeros, as near as float32 can tell
    std::fill_n(values_.begin(), dimension, std::int8_t{0});
    value_scale_ = 0;
  }
  value_sum_ = 0;
  for (std::size_t i = 0; i < dimension; ++i) value_sum_ += values_[i];
}

void RowCodeQuery::Estimate(const RowCodes& codes, const std::uint8_t* records, const std::uint32_t* ids,
                            std::size_t count, float* out) const {
  const auto sum_selected = kernels::ActiveDistances().sum_selected;
  for (std::size_t done = 0; done < count; done += kSums) {
    std::int32_t sums[kSums];
    const std::size_t some = std::min(kSums, count - done);
    sum_selected(values_.data(), records, codes.record_bytes(), ids + done, some, codes.padded_dimension(),
                 sums);
    for (std::size_t i = 0; i < some; ++i) {
      const float distance = codes.Estimate(records + ids[done + i] * codes.record_bytes(), center_distance_,
                                            value_scale_ * static_cast<float>(2 * sums[i] - value_sum_));
      // std::min returns its first argument where the second is NaN, as of a damaged file.
      out[done + i] = std::min(std::numeric_limits<float>::max(), distance);
    }
  }
}

}  // namespace trivium::index
