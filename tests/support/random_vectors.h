// SPDX-License-Identifier: Apache-2.0
// Seeded vectors for index tests, and the slow, obvious search they are judged by.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/bitmap.h"
#include "base/metric.h"
#include "base/neighbor.h"
#include "base/random.h"

namespace trivium::testing_support {

inline void Normalise(base::AlignedMatrix* matrix) {
  for (std::size_t i = 0; i < matrix->rows(); ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < matrix->columns(); ++j)
      squares += double(matrix->row(i)[j]) * matrix->row(i)[j];
    const auto scale = static_cast<float>(1 / std::sqrt(squares));
    for (std::size_t j = 0; j < matrix->columns(); ++j) matrix->row(i)[j] *= scale;
  }
}

// Points around `clusters` random centres, in the order of the clusters as real collections are; of differing
// lengths, except for the cosine metric.
inline base::AlignedMatrix ClusteredVectors(std::size_t rows, std::size_t columns, base::Metric metric,
                                            std::uint64_t seed, std::size_t clusters = 20) {
  base::Random centre_random(clusters * 1000 + columns);  // the same centres for any seed
  std::vector<float> centres(clusters * columns);
  for (float& value : centres) value = static_cast<float>(centre_random.Normal());
  base::Random random(seed);
  base::AlignedMatrix matrix(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    const float* centre = &centres[i * clusters / rows * columns];
    const double length = 0.5 + random.Uniform();
    for (std::size_t j = 0; j < columns; ++j) {
      matrix.row(i)[j] = static_cast<float>(length * (centre[j] + random.Normal()));
    }
  }
  if (metric == base::Metric::kCosine) Normalise(&matrix);
  return matrix;
}

inline double SlowDistance(base::Metric metric, const float* a, const float* b, std::size_t columns) {
  double product = 0, squares = 0;
  for (std::size_t j = 0; j < columns; ++j) {
    product += double(a[j]) * b[j];
    squares += (double(a[j]) - b[j]) * (double(a[j]) - b[j]);
  }
  return metric == base::Metric::kSquaredL2 ? squares : -product;
}

// The k nearest rows of `allowed` (null: of all), nearest first.
inline std::vector<base::Neighbor> SlowSearch(base::MatrixView rows, base::Metric metric, const float* query,
                                              std::size_t k, const base::Bitmap* allowed = nullptr) {
  std::vector<base::Neighbor> all;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (allowed != nullptr && !allowed->Test(i)) continue;
    const double distance = SlowDistance(metric, query, rows.row(i), rows.columns);
    all.push_back({static_cast<float>(distance), static_cast<std::uint32_t>(i)});
  }
  std::sort(all.begin(), all.end());
  if (all.size() > k) all.resize(k);
  return all;
}

// How many of `expected` are in `found`.
inline std::size_t CountFound(const std::vector<base::Neighbor>& found,
                              const std::vector<base::Neighbor>& expected) {
  std::size_t count = 0;
  for (const base::Neighbor& wanted : expected) {
    count += std::any_of(found.begin(), found.end(),
                         [&](const base::Neighbor& neighbor) { return neighbor.row == wanted.row; });
  }
  return count;
}

}  // namespace trivium::testing_support
