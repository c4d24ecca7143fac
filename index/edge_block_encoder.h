// SPDX-License-Identifier: Apache-2.0
// Writes one block of edge codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/distance_table.h"
#include "kernels/edge_code_functions.h"

namespace trivium::index {

// One thread's buffers; reused from block to block.
class EdgeBlockEncoder {
 public:
  EdgeBlockEncoder(const kernels::EdgeBlockShape& shape, bool inner_product);

  // Starts `block` around the rotated vector `center`; every place is without a neighbour.
  void Begin(const float* center, std::uint8_t* block);
  // Puts an edge to `vertex`, whose rotated vector is `end`, in a place that has none.
  void SetEdge(std::size_t place, std::uint32_t vertex, const float* end);

 private:
  const kernels::DistanceTable& table_;
  const kernels::EdgeBlockShape& shape_;
  bool inner_product_;
  const float* center_ = nullptr;
  std::uint8_t* block_ = nullptr;
  std::vector<std::uint8_t> signs_;
};

}  // namespace trivium::index
