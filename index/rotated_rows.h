// SPDX-License-Identifier: Apache-2.0
// Rows less their mean, rotated once each and kept in binary16 with a scale of their own: an edge's signs and
// length do not need more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bitmap.h"
#include "base/huge_bytes.h"
#include "base/matrix_view.h"
#include "index/random_rotation.h"
#include "kernels/distance_table.h"

namespace trivium::index {

// Immutable and safe to read concurrently.
class RotatedRows {
 public:
  // Of the rows that are set in `wanted`: 2 bytes a padded component of each, and 8 bytes a bit of `wanted`.
  // Throws std::bad_alloc. Cost: about a microsecond for each at 384 dimensions.
  RotatedRows(const RandomRotation& rotation, base::MatrixView rows, const float* mean,
              const base::Bitmap& wanted, int thread_count);

  // Writes the padded_dimension() floats of a wanted row.
  void Restore(std::size_t row, float* values) const;

 private:
  const kernels::Half* At(std::size_t place) const {
    return reinterpret_cast<const kernels::Half*>(halves_.data()) + place * columns_;
  }

  const kernels::DistanceTable& table_;
  std::size_t columns_;
  std::vector<std::uint32_t> places_;  // of each row among the wanted ones
  std::vector<float> scales_;          // by place
  base::HugeBytes halves_;
};

}  // namespace trivium::index
