// SPDX-License-Identifier: Apache-2.0
// Signs of an edge by which queries see least of its error.
//
// With r = P(n - v), its signs s and kappa = |r|^2 / <r, s>, the estimate of <u, r> by kappa <u, s> errs by
// <u, r - kappa s>, u a query relative to where queries lie. Its mean square over queries is
//   (r - kappa s)' C (r - kappa s),   C the covariance of u,
// which the signs of r make small only where C is a multiple of the identity. From these signs on, one sign
// after the other is turned over where that makes it smaller. Measured on 160,955 MiniLM vectors with the
// covariance of real questions: the error is 0.27 of the variance of <u, r> instead of 0.36.
//
// Source:  Guo et al. 2020 (ScaNN: quantize for the error that queries see) for the aim; coordinate descent.
// Differs: the error is weighted by a covariance of queries relative to the vertex, not along the row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/query_spread.h"
#include "kernels/distance_table.h"

namespace trivium::index {

// One thread's buffers.
class SignChooser {
 public:
  // `spread` outlives it.
  explicit SignChooser(const QuerySpread& spread);

  // Sums over the coordinates of r = end - center.
  struct Moments {
    float squares = 0;  // |r|^2
    float signs = 0;    // <r, s>
    float center = 0;   // <center, s>
    float along = 0;    // <center, r>
  };

  //   center, end   dimension floats each
  //   signs         overwritten: dimension / 4 bytes, as those of kernels::EncodeEdge
  // Cost: about dimension^2 multiplications and those of 50 turned signs at 384 dimensions.
  Moments Choose(const float* center, const float* end, std::uint8_t* signs);

 private:
  void Descend(float scale);

  const QuerySpread& spread_;
  decltype(kernels::DistanceTable::inner_product_f32_rows) products_;
  std::vector<float> difference_, signs_, error_, gradient_;
};

}  // namespace trivium::index
