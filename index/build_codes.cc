// SPDX-License-Identifier: Apache-2.0
#include "index/build_codes.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/thread_pool.h"

namespace trivium::index {
namespace {

// Rows summed by one thread before the sums are added up, in order: the mean must not depend on how many
// threads there are.
constexpr std::size_t kSumRows = 4096;

// Squares beyond this may overflow when two of them and a product are added.
constexpr float kLargestSquare = 1e37f;

std::vector<float> Mean(const RowsView& rows, int thread_count) {
  const std::size_t blocks = (rows.rows + kSumRows - 1) / kSumRows;
  std::vector<double> sums(blocks * rows.columns, 0.0);
  base::ParallelFor(blocks, thread_count, 1, [&](std::size_t block, int) {
    double* const sum = &sums[block * rows.columns];
    std::vector<float> memory(rows.columns);
    for (std::size_t i = block * kSumRows; i < std::min(rows.rows, (block + 1) * kSumRows); ++i) {
      const float* const row = rows.Decoded(i, memory.data());
      for (std::size_t j = 0; j < rows.columns; ++j) sum[j] += row[j];
    }
  });
  std::vector<float> mean(rows.columns, 0.0f);
  for (std::size_t j = 0; j < rows.columns; ++j) {
    double sum = 0;
    for (std::size_t block = 0; block < blocks; ++block) sum += sums[block * rows.columns + j];
    mean[j] = static_cast<float>(sum / static_cast<double>(rows.rows));
  }
  return mean;
}

// To the nearest whole number, |value| <= 127, in a form that compilers turn into vector instructions: a sum
// with 1.5 x 2^23 has no place for a fraction, and its lowest byte is the number.
std::int8_t RoundToByte(float value) {
  return static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(value + 12582912.0f));
}

// Fills `code`; returns the step, NaN or infinite where the row is.
float Encode(const float* row, const float* mean, std::size_t dimension, std::int8_t* code) {
  float largest = 0;
  for (std::size_t j = 0; j < dimension; ++j) largest = std::max(largest, std::fabs(row[j] - mean[j]));
  const float factor = largest > 0 ? 127.0f / largest : 0.0f;
  for (std::size_t j = 0; j < dimension; ++j) code[j] = RoundToByte((row[j] - mean[j]) * factor);
  return largest / 127.0f;
}

}  // namespace

BuildCodes::BuildCodes(const RowsView& rows, int thread_count)
    : dimension_(rows.columns),
      stride_((rows.columns + 63) / 64 * 64),
      codes_(rows.rows * stride_),
      scales_(rows.rows),
      gather_(kernels::ActiveDistances().inner_product_i8_gather) {
  if (rows.rows == 0) return;
  const std::vector<float> mean = Mean(rows, thread_count);
  const auto inner_product = kernels::ActiveDistances().inner_product_i8;
  std::vector<std::vector<float>> memories(thread_count, std::vector<float>(dimension_));
  base::ParallelFor(rows.rows, thread_count, 256, [&](std::size_t i, int thread) {
    std::int8_t* const code = Code(i);
    const float* const row = rows.Decoded(i, memories[thread].data());
    const float step = Encode(row, mean.data(), dimension_, code);
    const float square = step * step * static_cast<float>(inner_product(code, code, dimension_));
    const bool finite = square <= kLargestSquare;  // false for NaN
    scales_[i] = finite ? Scale{step, square} : Scale{0.0f, std::numeric_limits<float>::infinity()};
  });
}

}  // namespace trivium::index
