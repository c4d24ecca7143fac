// SPDX-License-Identifier: Apache-2.0
// The terms of a squared Euclidean distance: (q - x)^2.
#pragma once

#include "kernels/element_loads.h"

namespace trivium::kernels {

template <class Lanes, template <class> class Elements>
struct FloatSquares : Elements<Lanes> {
  using Float = typename Lanes::Float;
  static Float Accumulate(Float sum, Float query, Float row) {
    const Float difference = Lanes::Subtract(query, row);
    return Lanes::MultiplyAdd(difference, difference, sum);
  }
};

template <class Lanes>
using SquaredL2F32 = FloatSquares<Lanes, F32Elements>;
template <class Lanes>
using SquaredL2F16 = FloatSquares<Lanes, F16Elements>;

template <class Lanes>
struct SquaredL2I8 : I8Elements<Lanes> {
  using Ints = typename Lanes::Ints;
  using Words = typename Lanes::Words;
  static Ints Accumulate(Ints sum, Words query, Words row) {
    const Words difference = Lanes::SubtractWords(query, row);
    return Lanes::AddWordProducts(sum, difference, difference);
  }
};

}  // namespace trivium::kernels
