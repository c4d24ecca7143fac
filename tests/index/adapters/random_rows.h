// SPDX-License-Identifier: Apache-2.0
// Random vectors, and the slow search that adapters are compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/bitmap.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "base/random.h"

namespace trivium::testing_support {

// Normal components; of unit length for the cosine metric.
inline base::AlignedMatrix RandomRows(std::size_t count, std::size_t dimension, base::Metric metric,
                                      std::uint64_t seed) {
  base::Random random(seed);
  base::AlignedMatrix rows(count, dimension);
  for (std::size_t i = 0; i < count; ++i) {
    double squares = 0;
    for (std::size_t j = 0; j < dimension; ++j) {
      rows.row(i)[j] = static_cast<float>(random.Normal());
      squares += double{rows.row(i)[j]} * rows.row(i)[j];
    }
    if (metric != base::Metric::kCosine) continue;
    for (std::size_t j = 0; j < dimension; ++j) rows.row(i)[j] /= static_cast<float>(std::sqrt(squares));
  }
  return rows;
}

inline double SlowMetricDistance(const float* a, const float* b, std::size_t dimension, base::Metric metric) {
  double sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double difference = double{a[i]} - b[i];
    sum += metric == base::Metric::kSquaredL2 ? difference * difference : -double{a[i]} * b[i];
  }
  return sum;
}

// The min(k, allowed) nearest rows with their distances, nearest first.
inline std::vector<std::pair<double, std::uint32_t>> SlowNearestRows(base::MatrixView rows,
                                                                     const float* query, std::size_t k,
                                                                     base::Metric metric,
                                                                     const base::Bitmap* allowed = nullptr) {
  std::vector<std::pair<double, std::uint32_t>> all;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    if (allowed != nullptr && !allowed->Test(i)) continue;
    all.emplace_back(SlowMetricDistance(query, rows.row(i), rows.columns, metric),
                     static_cast<std::uint32_t>(i));
  }
  std::sort(all.begin(), all.end());
  if (all.size() > k) all.resize(k);
  return all;
}

}  // namespace trivium::testing_support
