// SPDX-License-Identifier: Apache-2.0
// Reads a block of edge codes one value at a time, as it is drawn in kernels/edge_code_functions.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/edge_code_functions.h"

namespace trivium::testing_support {

inline float SlowFloatFromBfloat(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

struct SlowEdgeBlock {
  const kernels::EdgeBlockShape& shape;
  const std::uint8_t* block;

  template <class T>
  T Read(std::size_t offset) const {
    T value;
    std::memcpy(&value, block + offset, sizeof(value));
    return value;
  }
  // 0 to 15.
  int CenterLevel(std::size_t dimension) const {
    const std::uint8_t byte = block[dimension / 64 * 32 + dimension % 32];
    return dimension % 64 < 32 ? byte & 15 : byte >> 4;
  }
  float CenterScale() const { return Read<float>(shape.header); }
  float SquaredNorm() const { return Read<float>(shape.header + 4); }
  std::uint32_t Vertex(std::size_t edge) const { return Read<std::uint32_t>(shape.vertices + 4 * edge); }
  float Offset(std::size_t edge) const {
    return SlowFloatFromBfloat(Read<std::uint16_t>(shape.offsets + 2 * edge));
  }
  float Scale(std::size_t edge) const {
    return SlowFloatFromBfloat(Read<std::uint16_t>(shape.scales + 2 * edge));
  }
  // The signs of four dimensions of an edge.
  int Signs(std::size_t edge, std::size_t group) const {
    const std::size_t first = shape.codes + edge / 32 * 32 * shape.dimension / 8;
    const std::uint8_t byte = block[first + 16 * group + edge % 16];
    return edge % 32 < 16 ? byte & 15 : byte >> 4;
  }
  bool IsPositive(std::size_t edge, std::size_t dimension) const {
    return (Signs(edge, dimension / 4) >> (dimension % 4) & 1) != 0;
  }

  // The distance of the block's own vertex.
  double Center(const kernels::EdgeQuery& query) const {
    double product = 0;
    for (std::size_t d = 0; d < shape.dimension; ++d) product += (CenterLevel(d) - 7.5) * query.values[d];
    product *= double{CenterScale()} * query.value_scale;
    return query.inner_product ? -product : double{query.squared_norm} + SquaredNorm() - 2 * product;
  }
  double Distance(const kernels::EdgeQuery& query, std::size_t edge) const {
    double sum = 0;
    for (std::size_t g = 0; g < shape.dimension / 4; ++g) sum += query.table[16 * g + Signs(edge, g)];
    return Center(query) + Offset(edge) - Scale(edge) * (sum * query.table_scale + query.table_offset);
  }
};

}  // namespace trivium::testing_support
