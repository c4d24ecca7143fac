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
// by what was cut.
inline void RoundToMasses(const float* probabilities, std::size_t count, float unit, std::uint8_t* masses) {
  const float units = 1.0f / unit;
  for (std::size_t i = 0; i < count; ++i) {
    masses[i] = static_cast<std::uint8_t>(std::lround(std::clamp(probabilities[i] * units, 0.0f, 255.0f)));
  }
}

// Of the level above, in a unit twice as large: half of the sum of each two, rounded up. Rounding up keeps
// the bound: min(a, b) + min(c, d) <= min(a + c, b + d) <= 2 min(ceil((a + c) / 2), ceil((b + d) / 2)).
// `parents` may be `children`.
inline void JoinChildren(const std::uint8_t* children, std::size_t parent_count, std::uint8_t* parents) {
  for (std::size_t i = 0; i < parent_count; ++i) {
    parents[i] = static_cast<std::uint8_t>((children[2 * i] + children[2 * i + 1] + 1) / 2);
  }
}

}  // namespace trivium::routing
