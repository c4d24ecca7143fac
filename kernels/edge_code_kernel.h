// SPDX-License-Identifier: Apache-2.0
// The kernels of edge codes: one instruction set is wrapped by a *CodeLanes* type (code_lanes_*.h):
//   SumSigns(codes, table, groups, sums)        sums[j] = sum of table entries of edge j, j < 32
//   NibbleProduct(nibbles, values, dimension)   exact sum of products of 4-bit and int8 values
//   SelectBelow(...)                            estimates of 32 edges, those below a bound
// All sums are integers and the same on every instruction set; estimates differ by rounding only.
#pragma once

#include "kernels/edge_code_functions.h"

namespace trivium::kernels {

// Writes the vertices that edges of `block` lead to and whose estimated distance is below `bound`, in the
// order of the edges, with these distances; returns how many. Both need room for edge_count + 16. `*center`:
// the distance of the block's own vertex, from its 4-bit code.
//
// Source:  Gou et al. 2025 (SymphonyQG): sign codes of neighbours relative to the expanded vertex, summed by
//          table look-ups in registers (Andre et al. 2015, FastScan).
// Differs: the vertex itself is read as a 4-bit code instead of float32, table entries have 6 bits so that
//          four are added in bytes, factors are bfloat16: 2,048 bytes a hop at 384 dimensions, not 3,456.
template <class CodeLanes>
std::size_t ScoreEdges(const EdgeBlockShape& shape, const EdgeQuery& query, const std::uint8_t* block,
                       float bound, float* center, float* distances, std::uint32_t* vertices) {
  const std::int32_t product = CodeLanes::NibbleProduct(block, query.values, shape.dimension);
  float header[2];
  __builtin_memcpy(header, block + shape.header, sizeof(header));
  // A stored value u stands for scale * (u - 7.5).
  const float inner_product = header[0] * query.value_scale *
                              (static_cast<float>(product) - 7.5f * static_cast<float>(query.value_sum));
  EdgeEstimate estimate;
  estimate.center =
      query.inner_product ? -inner_product : query.squared_norm + header[1] - 2.0f * inner_product;
  estimate.table_scale = query.table_scale;
  estimate.table_offset = query.table_offset;
  estimate.bound = bound;
  *center = estimate.center;

  std::size_t count = 0;
  for (std::size_t first = 0; first < shape.edge_count; first += kEdgesAtOnce) {
    alignas(64) std::uint16_t sums[kEdgesAtOnce];
    CodeLanes::SumSigns(block + shape.codes + first * shape.dimension / 8, query.table, shape.dimension / 4,
                        sums);
    count += CodeLanes::SelectBelow(sums, block + shape.offsets + 2 * first, block + shape.scales + 2 * first,
                                    block + shape.vertices + 4 * first, estimate, distances + count,
                                    vertices + count);
  }
  return count;
}

// What the code of one edge is made from: the rotated end points.
//   signs     overwritten: dimension / 4 bytes, byte g the sign bits of r = to - from in dimensions 4 g to
//             4 g + 3; a bit is set where r >= 0
//   moments   overwritten: |r|^2, sum |r_i|, sum from_i * sign(r_i)
template <class Lanes>
void EncodeEdge(const float* from, const float* to, std::size_t dimension, std::uint8_t* signs,
                float* moments) {
  auto squares = Lanes::ZeroFloats(), lengths = Lanes::ZeroFloats(), products = Lanes::ZeroFloats();
  for (std::size_t i = 0; i < dimension; i += Lanes::kFloats) {
    const auto start = Lanes::Load(from + i);
    const auto difference = Lanes::Subtract(Lanes::Load(to + i), start);
    squares = Lanes::MultiplyAdd(difference, difference, squares);
    const unsigned set = Lanes::NotNegative(difference);
    lengths = Lanes::Add(lengths, Lanes::WithSigns(difference, set));
    products = Lanes::Add(products, Lanes::WithSigns(start, set));
    for (std::size_t j = 0; j < Lanes::kFloats; j += 4) {
      signs[(i + j) / 4] = static_cast<std::uint8_t>(set >> j & 15);
    }
  }
  moments[0] = Lanes::Sum(squares);
  moments[1] = Lanes::Sum(lengths);
  moments[2] = Lanes::Sum(products);
}

// The tables of a query; see EdgeQuery. `largest`: the largest sum of four |q|, > 0.
template <class Lanes>
void FillSignTable(const float* query, std::size_t dimension, float largest, float inverse_scale,
                   std::uint8_t* table) {
  // Sign of dimension d in entry c.
  alignas(64) float signs[4][16];
  for (int d = 0; d < 4; ++d) {
    for (int c = 0; c < 16; ++c) signs[d][c] = (c >> d & 1) != 0 ? 1.0f : -1.0f;
  }
  const auto shift = Lanes::Broadcast(largest);
  const auto factor = Lanes::Broadcast(inverse_scale);
  for (std::size_t g = 0; g < dimension / 4; ++g) {
    for (std::size_t c = 0; c < 16; c += Lanes::kFloats) {
      auto sum = Lanes::Multiply(Lanes::Load(signs[0] + c), Lanes::Broadcast(query[4 * g]));
      for (int d = 1; d < 4; ++d) {
        sum = Lanes::Add(sum, Lanes::Multiply(Lanes::Load(signs[d] + c), Lanes::Broadcast(query[4 * g + d])));
      }
      Lanes::StoreBytes(table + 16 * g + c, Lanes::Multiply(Lanes::Add(sum, shift), factor));
    }
  }
}

// out[i] = values[i] * factor, rounded to nearest even, as int8; `count` is a multiple of 16.
template <class Lanes>
void RoundToBytes(const float* values, std::size_t count, float factor, std::int8_t* out) {
  const auto scale = Lanes::Broadcast(factor);
  for (std::size_t i = 0; i < count; i += Lanes::kFloats) {
    Lanes::StoreBytes(reinterpret_cast<std::uint8_t*>(out + i),
                      Lanes::Multiply(Lanes::Load(values + i), scale));
  }
}

}  // namespace trivium::kernels
