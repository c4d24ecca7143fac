// SPDX-License-Identifier: Apache-2.0
// The terms of an inner product: q * x.
#pragma once

#include "kernels/element_loads.h"

namespace trivium::kernels {

template <class Lanes, template <class> class Elements>
struct FloatProducts : Elements<Lanes> {
  using Float = typename Lanes::Float;
  static Float Accumulate(Float sum, Float query, Float row) { return Lanes::MultiplyAdd(query, row, sum); }
};

template <class Lanes>
using InnerProductF32 = FloatProducts<Lanes, F32Elements>;
template <class Lanes>
using InnerProductF16 = FloatProducts<Lanes, F16Elements>;

template <class Lanes, template <class> class Elements>
struct WordProducts : Elements<Lanes> {
  using Ints = typename Lanes::Ints;
  using Words = typename Lanes::Words;
  static Ints Accumulate(Ints sum, Words query, Words row) { return Lanes::AddWordProducts(sum, query, row); }
};

template <class Lanes>
using InnerProductI8 = WordProducts<Lanes, I8Elements>;
template <class Lanes>
using InnerProductI16I8 = WordProducts<Lanes, I16I8Elements>;

}  // namespace trivium::kernels
