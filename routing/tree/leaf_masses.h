// SPDX-License-Identifier: Apache-2.0
// Node probabilities as 16-bit masses: whole numbers, so that the masses of children add up to their parent's
// to the last unit and what two rows share at a level is never more than what they share above it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace trivium::routing {

// Units of the whole. Rounding may add half a unit a leaf: 61,440 + 2,048 at the deepest level, below 2^16.
inline constexpr std::uint32_t kMassUnits = 61440;

// `probabilities` of the leaves, 2^depth; overwrites `masses` with theirs. Each is off by at most half a
// unit, so what two rows share is by at most 2^depth / 2 / kMassUnits: 0.9 % of the whole for 1,024 leaves,
// were all errors to add up.
inline void RoundToMasses(const float* probabilities, std::size_t count, std::uint16_t* masses) {
  for (std::size_t i = 0; i < count; ++i) {
    masses[i] =
        static_cast<std::uint16_t>(std::lround(std::clamp(probabilities[i], 0.0f, 1.0f) * kMassUnits));
  }
}

// Of the level above: `count` parents.
inline void AddChildren(const std::uint16_t* children, std::size_t count, std::uint16_t* parents) {
  for (std::size_t i = 0; i < count; ++i) {
    parents[i] = static_cast<std::uint16_t>(children[2 * i] + children[2 * i + 1]);
  }
}

}  // namespace trivium::routing
