// SPDX-License-Identifier: Apache-2.0
// The upper half of a float32.
#pragma once

#include <bit>
#include <cstdint>

namespace trivium::index {

// Rounded to nearest even.
inline std::uint16_t ToBfloat(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// The largest that is not above `value`, which is finite.
inline std::uint16_t ToBfloatBelow(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((value < 0 ? bits + 0xFFFF : bits) >> 16);
}

}  // namespace trivium::index
