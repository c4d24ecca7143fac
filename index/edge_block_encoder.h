// SPDX-License-Identifier: Apache-2.0
// Writes one block of edge codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "index/sign_chooser.h"
#include "kernels/distance_table.h"
#include "kernels/edge_code_functions.h"

namespace trivium::index {

// One thread's buffers; reused from block to block.
class EdgeBlockEncoder {
 public:
  // `spread`, which outlives it, decides the signs of edges and where they are read from; null: the signs of
  // their components, read from the vertex.
  EdgeBlockEncoder(const kernels::EdgeBlockShape& shape, bool inner_product,
                   const QuerySpread* spread = nullptr);

  // Starts `block` around the rotated vector `center`; every place is without a neighbour.
  void Begin(const float* center, std::uint8_t* block);
  // Puts an edge to `vertex`, whose rotated vector is `end`, in a place that has none.
  void SetEdge(std::size_t place, std::uint32_t vertex, const float* end);
  // The same of an edge that is in another block of this center and spread already.
  void CopyEdge(std::size_t place, const std::uint8_t* from, std::size_t from_place);

 private:
  struct Factors {
    float offset, scale;
  };
  // Of one edge, whose signs are left in signs_.
  Factors Encode(const float* end);
  void StoreSigns(std::size_t place);

  const kernels::DistanceTable& table_;
  const kernels::EdgeBlockShape& shape_;
  bool inner_product_;
  float pull_ = 1;
  std::optional<SignChooser> chooser_;
  const float* center_ = nullptr;
  std::uint8_t* block_ = nullptr;
  std::vector<std::uint8_t> signs_;
};

}  // namespace trivium::index
