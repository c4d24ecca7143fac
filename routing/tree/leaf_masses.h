// SPDX-License-Identifier: Apache-2.0
// Node probabilities in bytes: whole numbers of a unit that belongs to the tree, so that one row takes a byte
// a node, and what two rows share at a level is never more than what they share above it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace trivium::routing {

// `probabilities` of `count` leaves; overwrites `masses` with theirs in units of `unit`. Masses below half a
// unit are dropped, those above 255 units cut: what two rows share is off by at most half a unit a leaf, and
// by what was cut. Returns that, in units.
inline std::uint32_t RoundToMasses(const float* probabilities, std::size_t count, float unit,
                                   std::uint8_t* masses) {
  const float units = 1.0f / unit;
  std::uint32_t cut = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float mass = probabilities[i] * units;
    masses[i] = static_cast<std::uint8_t>(std::lround(std::clamp(mass, 0.0f, 255.0f)));
    if (mass > 255.0f) cut += static_cast<std::uint32_t>(std::lround(mass)) - 255;
  }
  return cut;
}

// Of the level above. In a unit twice as large: half of the sum of each two, rounded up. Rounding up keeps
// the bound: min(a, b) + min(c, d) <= min(a + c, b + d) <= 2 min(ceil((a + c) / 2), ceil((b + d) / 2)).
// In the same unit: their sum, cut at 255; the bound then misses at most what of one of the two rows was cut.
// Returns what was cut, in units. `parents` may be `children`.
inline std::uint32_t JoinChildren(const std::uint8_t* children, std::size_t parent_count, bool doubled,
                                  std::uint8_t* parents) {
  std::uint32_t cut = 0;
  if (doubled) {
    for (std::size_t i = 0; i < parent_count; ++i) {
      parents[i] = static_cast<std::uint8_t>((children[2 * i] + children[2 * i + 1] + 1) / 2);
    }
    return cut;
  }
  for (std::size_t i = 0; i < parent_count; ++i) {
    const int sum = children[2 * i] + children[2 * i + 1];
    parents[i] = static_cast<std::uint8_t>(std::min(sum, 255));
    cut += static_cast<std::uint32_t>(sum - parents[i]);
  }
  return cut;
}

// Likewise, and no less than what `probabilities` of the parents round to in `unit`, theirs: what was dropped
// of many small masses comes back where it is one larger mass, and more on both sides keeps the bound.
// `parents` must not be `children`.
inline std::uint32_t JoinAndRound(const std::uint8_t* children, const float* probabilities,
                                  std::size_t parent_count, bool doubled, float unit, std::uint8_t* parents) {
  const float units = 1.0f / unit;
  std::uint32_t cut = 0;
  for (std::size_t i = 0; i < parent_count; ++i) {
    const std::uint32_t sum = children[2 * i] + children[2 * i + 1];
    const auto rounded = static_cast<std::uint32_t>(std::lround(probabilities[i] * units));
    const std::uint32_t mass = std::max(doubled ? (sum + 1) / 2 : sum, rounded);
    parents[i] = static_cast<std::uint8_t>(std::min(mass, 255u));
    cut += mass - parents[i];
  }
  return cut;
}

}  // namespace trivium::routing
