// SPDX-License-Identifier: Apache-2.0
#include "index/rotated_rows.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"

namespace trivium::index {
namespace {

// The power of two that brings `values` into the middle of binary16's range: rows of any unit keep all of its
// 11 bits.
float HalfScale(const float* values, std::size_t count) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  if (!(largest > 0) || !std::isfinite(largest)) return 1;
  return std::ldexp(1.0f, std::clamp(14 - std::ilogb(largest), -126, 126));
}

void Multiply(float* values, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) values[i] *= factor;
}

}  // namespace

RotatedRows::RotatedRows(const RandomRotation& rotation, base::MatrixView rows, const float* mean,
                         const base::Bitmap& wanted, int thread_count)
    : table_(kernels::ActiveDistances()), columns_(rotation.padded_dimension()), places_(wanted.size()) {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(wanted.CountSet());
  wanted.ForEachSet([&](std::size_t row) {
    places_[row] = static_cast<std::uint32_t>(numbers.size());
    numbers.push_back(static_cast<std::uint32_t>(row));
  });
  scales_.resize(numbers.size());
  halves_ = base::HugeBytes(numbers.size() * columns_ * sizeof(kernels::Half));
  const int threads = base::ResolveThreadCount(thread_count);
  std::vector<std::vector<float>> buffers(threads, std::vector<float>(columns_));
  base::ParallelFor(numbers.size(), threads, 256, [&](std::size_t place, int thread) {
    float* values = buffers[thread].data();
    rotation.Apply(rows.row(numbers[place]), mean, values);
    scales_[place] = HalfScale(values, columns_);
    Multiply(values, columns_, scales_[place]);
    table_.f16_from_f32(values, columns_, const_cast<kernels::Half*>(At(place)));
  });
}

void RotatedRows::Restore(std::size_t row, float* values) const {
  const std::size_t place = places_[row];
  table_.f32_from_f16(At(place), columns_, values);
  Multiply(values, columns_, 1 / scales_[place]);
}

}  // namespace trivium::index
