// SPDX-License-Identifier: Apache-2.0
// Obvious references for kernels/: double arithmetic, one element at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tests/support/guarded_array.h"

namespace trivium::testing_support {

inline double SlowFloatFromHalf(std::uint16_t half) {
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  const int exponent = half >> 10 & 31;
  const int fraction = half & 0x3FF;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

// Rounds to nearest even. A NaN is made quiet and keeps the high bits of its payload.
inline std::uint16_t SlowHalfFromFloat(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  const std::uint16_t sign = bits >> 16 & 0x8000;
  if (std::isnan(value)) return sign | 0x7E00 | (bits >> 13 & 0x3FF);
  const double magnitude = std::abs(static_cast<double>(value));
  if (magnitude >= 65520) return sign | 0x7C00;
  if (magnitude == 0) return sign;
  const int exponent = std::max(std::ilogb(magnitude), -14);
  const int units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return sign | (units < 1024 ? units : ((exponent + 15) << 10) + units - 1024);
}

struct SlowDistance {
  double value = 0;
  double magnitude = 0;  // sum of absolute terms: what rounding errors scale with
  void Add(double term) {
    value += term;
    magnitude += std::abs(term);
  }
};

template <class Query, class Row>
SlowDistance SlowInnerProduct(const Query& query, const Row& row, std::size_t dimension) {
  SlowDistance sum;
  for (std::size_t i = 0; i < dimension; ++i) sum.Add(double{query(i)} * double{row(i)});
  return sum;
}

template <class Query, class Row>
SlowDistance SlowSquaredL2(const Query& query, const Row& row, std::size_t dimension) {
  SlowDistance sum;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double difference = double{query(i)} - double{row(i)};
    sum.Add(difference * difference);
  }
  return sum;
}

}  // namespace trivium::testing_support
