// SPDX-License-Identifier: Apache-2.0
// A row of a vector set with its distance to a query; ordered nearest first, ties by the smaller row.
#pragma once

#include <cstdint>

namespace trivium::base {

struct Neighbor {
  float distance = 0;
  std::uint32_t row = 0;

  friend bool operator<(const Neighbor& a, const Neighbor& b) {
    return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
  }
  friend bool operator==(const Neighbor& a, const Neighbor& b) = default;
};

}  // namespace trivium::base
