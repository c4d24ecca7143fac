// SPDX-License-Identifier: Apache-2.0
// The kernel of packs: signs of 32 rows side by side, as those of edges are (edge_code_functions.h), for rows
// that are read one after the other. `dimension` is a multiple of 64.
//
//   byte 0    offsets, 32 x bfloat16
//   byte 64   scales, 32 x bfloat16
//   byte 128  codes: dimension / 4 groups of 16 bytes; byte j of group g holds the signs of dimensions 4 g to
//             4 g + 3 of row j (low half) and row j + 16 (high half)
#pragma once

#include "kernels/edge_code_kernel.h"

namespace trivium::kernels {

inline constexpr std::size_t kPackHeader = 4 * kEdgesAtOnce;

// Writes the places of the rows of `count` packs whose estimated distance is below estimate.bound,
// increasing, the first row of the first pack being 0, with these distances; returns how many. Both need room
// for 32 x count + 16. `table`: as EdgeQuery's.
template <class CodeLanes>
std::size_t ScorePacks(const std::uint8_t* packs, std::size_t count, std::size_t dimension,
                       const std::uint8_t* table, const EdgeEstimate& estimate, float* distances,
                       std::uint32_t* places) {
  alignas(64) std::uint32_t own[kEdgesAtOnce];
  for (std::size_t j = 0; j < kEdgesAtOnce; ++j) own[j] = static_cast<std::uint32_t>(j);
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint8_t* pack = packs + i * (kPackHeader + 4 * dimension);
    alignas(64) std::uint16_t sums[kEdgesAtOnce];
    CodeLanes::SumSigns(pack + kPackHeader, table, dimension / 4, sums);
    found += CodeLanes::SelectBelow(sums, pack, pack + 2 * kEdgesAtOnce,
                                    reinterpret_cast<const std::uint8_t*>(own), estimate, distances + found,
                                    places + found);
    for (std::size_t j = 0; j < kEdgesAtOnce; ++j) own[j] += kEdgesAtOnce;
  }
  return found;
}

}  // namespace trivium::kernels
