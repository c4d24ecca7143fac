// SPDX-License-Identifier: Apache-2.0
// A fast random rotation: rounds of sign flips, a Hadamard transform over the largest power of two that fits
// (at the front and at the end in turn), and, where it does not cover everything, a Kac step that mixes the
// two halves. Only additions, subtractions and multiplications in a fixed order, so the result is the same
// to the last bit on every instruction set.
//
// Source: Kac 1954 (the walk); Ailon and Chazelle 2009 (sign flips and Hadamard transforms).
#pragma once

#include "kernels/distance_functions.h"

namespace trivium::kernels {

inline constexpr std::size_t kRotationRounds = 4;

// Unscaled; `count` is a power of two, at least 64.
template <class Lanes>
void HadamardTransform(float* values, std::size_t count) {
  for (std::size_t i = 0; i < count; i += Lanes::kFloats) {
    auto v = Lanes::template Butterfly<2>(Lanes::template Butterfly<1>(Lanes::Load(values + i)));
    if constexpr (Lanes::kFloats > 4) v = Lanes::template Butterfly<4>(v);
    if constexpr (Lanes::kFloats > 8) v = Lanes::template Butterfly<8>(v);
    Lanes::Store(values + i, v);
  }
  for (std::size_t half = Lanes::kFloats; half < count; half *= 2) {
    for (std::size_t block = 0; block < count; block += 2 * half) {
      for (std::size_t i = block; i < block + half; i += Lanes::kFloats) {
        const auto a = Lanes::Load(values + i), b = Lanes::Load(values + i + half);
        Lanes::Store(values + i, Lanes::Add(a, b));
        Lanes::Store(values + i + half, Lanes::Subtract(a, b));
      }
    }
  }
}

// values <- rotation of values, in place. `dimension` is a multiple of 64. `multipliers`: kRotationRounds + 1
// rows of `dimension`: signs with the scale of the transforms folded in.
template <class Lanes>
void Rotate(const float* multipliers, std::size_t dimension, float* values) {
  std::size_t window = 64;
  while (window * 2 <= dimension) window *= 2;
  for (std::size_t round = 0; round <= kRotationRounds; ++round) {
    for (std::size_t i = 0; i < dimension; i += Lanes::kFloats) {
      Lanes::Store(values + i, Lanes::Multiply(Lanes::Load(values + i), Lanes::Load(multipliers + i)));
    }
    if (round == kRotationRounds) return;
    multipliers += dimension;
    HadamardTransform<Lanes>(round % 2 == 0 ? values : values + dimension - window, window);
    if (window == dimension) continue;
    const std::size_t half = dimension / 2;
    for (std::size_t i = 0; i < half; i += Lanes::kFloats) {
      const auto a = Lanes::Load(values + i), b = Lanes::Load(values + i + half);
      Lanes::Store(values + i, Lanes::Add(a, b));
      Lanes::Store(values + i + half, Lanes::Subtract(a, b));
    }
  }
}

}  // namespace trivium::kernels
