// SPDX-License-Identifier: Apache-2.0
#include "index/random_rotation.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "base/random.h"
#include "kernels/distance_table.h"
#include "kernels/rotation_kernel.h"

namespace trivium::index {

RandomRotation::RandomRotation(std::size_t dimension, std::uint64_t seed)
    : dimension_(dimension), multipliers_(kernels::kRotationRounds + 1, (dimension + 63) / 64 * 64) {
  const std::size_t padded = padded_dimension();
  const std::size_t window = std::bit_floor(padded);
  const bool kac = window < padded;
  const double transform_scale = 1.0 / std::sqrt(static_cast<double>(window));
  base::Random random(seed);
  for (std::size_t round = 0; round <= kernels::kRotationRounds; ++round) {
    float* row = multipliers_.row(round);
    const std::size_t first = round % 2 == 0 ? 0 : padded - window;
    for (std::size_t i = 0; i < padded; ++i) {
      double value = kac && round > 0 ? std::sqrt(0.5) : 1.0;  // of the Kac step before
      if (round < kernels::kRotationRounds) {
        if (i >= first && i < first + window) value *= transform_scale;
        if (random.Below(2) == 0) value = -value;
      }
      row[i] = static_cast<float>(value);
    }
  }
}

void RandomRotation::Apply(const float* in, const float* origin, float* out) const {
  std::memcpy(out, in, dimension_ * sizeof(float));
  for (std::size_t i = 0; origin != nullptr && i < dimension_; ++i) out[i] -= origin[i];
  std::memset(out + dimension_, 0, (padded_dimension() - dimension_) * sizeof(float));
  kernels::ActiveDistances().rotate(multipliers_.row(0), padded_dimension(), out);
}

}  // namespace trivium::index
