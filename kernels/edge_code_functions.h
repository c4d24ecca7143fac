// SPDX-License-Identifier: Apache-2.0
// What the kernels of edge codes work on. Plain structs without functions: this header is included by files
// of every instruction set (see distance_kernel.h).
//
// A *block* belongs to one vertex v of a graph and holds all that a search reads when it expands v: a 4-bit
// code of v itself, and of each edge v -> n the sign bits of the rotated difference r = P(n - v), drawn with
// their estimator in index/edge_codes.h. `dimension` is a multiple of 64, `edge_count` of 32.
//
//   byte 0         center: 4-bit values, dimension / 2 bytes; byte j of chunk c holds dimension 64 c + j in
//                  its low and 64 c + 32 + j in its high half
//   header         float scale, float squared norm of v, 8 bytes unused
//   vertices       edge_count x uint32
//   offsets        edge_count x bfloat16
//   scales         edge_count x bfloat16
//   codes          of each 32 edges dimension / 4 groups of 16 bytes: byte j of group g holds the signs of
//                  dimensions 4 g to 4 g + 3 of edge j (low half) and edge j + 16 (high half)
#pragma once

#include <cstddef>
#include <cstdint>

namespace trivium::kernels {

// Edges whose signs lie side by side, to be summed at once.
inline constexpr std::size_t kEdgesAtOnce = 32;

// Where the parts of a block begin, in bytes.
struct EdgeBlockShape {
  std::size_t dimension = 0;
  std::size_t edge_count = 0;
  std::size_t header = 0;
  std::size_t vertices = 0;
  std::size_t offsets = 0;
  std::size_t scales = 0;
  std::size_t codes = 0;
  std::size_t bytes = 0;  // of the block, a multiple of 64
};

// A rotated query, as the kernels read it.
struct EdgeQuery {
  // dimension / 4 groups of 16: entry c of group g is the sum of +-q over dimensions 4 g to 4 g + 3, + where
  // the bit of c is set, as (sum - table_offset / (dimension / 4)) / table_scale, 0 to 63; a sum
  // of one entry of each group fits 16 bits.
  const std::uint8_t* table = nullptr;
  float table_scale = 0;
  float table_offset = 0;
  const std::int8_t* values = nullptr;  // dimension, about q / value_scale
  float value_scale = 0;
  std::int32_t value_sum = 0;
  float squared_norm = 0;
  bool inner_product = false;  // distances are -<q, x>, otherwise |q - x|^2
};

// How 32 sums become distances: distance of edge j = center + offset[j] - scale[j] * <q, signs>, where
// <q, signs> = sum * table_scale + table_offset. Those that are not below `bound` are left out.
struct EdgeEstimate {
  float center = 0;
  float table_scale = 0;
  float table_offset = 0;
  float bound = 0;
};

}  // namespace trivium::kernels
