// SPDX-License-Identifier: Apache-2.0
// A random orthogonal map that spreads a vector's length evenly over its coordinates, so that a few bits of
// each say much. Cost: O(d log d), about a microsecond at 384 dimensions; see kernels/rotation_kernel.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_matrix.h"

namespace trivium::index {

class RandomRotation {
 public:
  // Vectors of `dimension` floats become vectors of padded_dimension(), the next multiple of 64.
  RandomRotation(std::size_t dimension, std::uint64_t seed);

  std::size_t dimension() const { return dimension_; }
  std::size_t padded_dimension() const { return multipliers_.columns(); }

  // out = rotation of `in`, or of in - origin where `origin` is not null. `out` has room for
  // padded_dimension() floats. Keeps lengths and inner products. The same to the last bit
  // on every instruction set. Safe to call concurrently.
  void Apply(const float* in, const float* origin, float* out) const;
  void Apply(const float* in, float* out) const { Apply(in, nullptr, out); }

 private:
  std::size_t dimension_;
  base::AlignedMatrix multipliers_;  // kRotationRounds + 1 rows
};

}  // namespace trivium::index
