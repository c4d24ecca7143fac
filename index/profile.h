// SPDX-License-Identifier: Apache-2.0
// What an index keeps of its rows and how it walks its graph: a choice of memory against speed. At 384
// dimensions, in bytes a row, with the graph of degree bound 32 (31 where compressed) and without labels:
//
//   profile     rows            graph   codes                        together
//   kExact      float32 1,536   192     none                            1,728   walks by exact distances
//   kSpeed      float32 1,536   192     edges 2,048 (edge_codes.h)      3,776
//   kBalanced   binary16  768   128     rows 64 (row_codes.h)             960
//   kSmall      int8      388   128     rows 64                           580   392 for kSquaredL2
#pragma once

#include <cstddef>
#include <cstdint>

#include "index/rows_view.h"

namespace trivium::index {

// Values are stored in files.
enum class Profile : std::uint8_t { kExact = 0, kSpeed = 1, kBalanced = 2, kSmall = 3 };

constexpr bool IsCompressed(Profile profile) {
  return profile == Profile::kBalanced || profile == Profile::kSmall;
}

constexpr RowFormat FormatOf(Profile profile) {
  return profile == Profile::kBalanced ? RowFormat::kFloat16
         : profile == Profile::kSmall  ? RowFormat::kInt8
                                       : RowFormat::kFloat32;
}

// The degree bound of a new graph. A record of the graph begins with a count: in compressed profiles a bound
// that would spill into one more line of 16 words for a single neighbour gives that neighbour up.
constexpr std::size_t DegreeBoundOf(Profile profile, std::size_t degree_bound) {
  return IsCompressed(profile) && degree_bound % 16 == 0 ? degree_bound - 1 : degree_bound;
}

}  // namespace trivium::index
