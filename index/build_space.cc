// SPDX-License-Identifier: Apache-2.0
#include "index/build_space.h"

#include <algorithm>
#include <cmath>

namespace trivium::index {

BuildSpace::BuildSpace(base::MatrixView rows, base::Metric metric)
    : rows_(rows), distances_(rows, metric), inner_product_(base::UsesInnerProduct(metric)) {
  if (metric == base::Metric::kCosine) constant_ = 2.0f;
  if (metric != base::Metric::kInnerProduct) return;
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  extra_.resize(rows.rows);
  float largest = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    extra_[i] = inner_product(rows.row(i), rows.row(i), rows.columns);
    largest = std::max(largest, extra_[i]);
  }
  for (float& value : extra_) value = std::sqrt(std::max(0.0f, largest - value));
  constant_ = 2.0f * largest;
}

std::uint32_t BuildSpace::Medoid() const {
  if (rows_.rows == 0) return 0;
  std::vector<double> sum(rows_.columns, 0.0);
  double extra_sum = 0;
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    const float* row = rows_.row(i);
    for (std::size_t j = 0; j < rows_.columns; ++j) sum[j] += row[j];
    if (!extra_.empty()) extra_sum += extra_[i];
  }
  std::vector<float> mean(rows_.columns);
  for (std::size_t j = 0; j < rows_.columns; ++j) mean[j] = static_cast<float>(sum[j] / rows_.rows);
  const float extra_mean = static_cast<float>(extra_sum / rows_.rows);

  std::uint32_t best = 0;
  float best_distance = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    float distance;
    distances_.Block(mean.data(), i, 1, &distance);
    if (!extra_.empty()) distance -= extra_mean * extra_[i];
    if (distance < best_distance) {
      best_distance = distance;
      best = static_cast<std::uint32_t>(i);
    }
  }
  return best;
}

}  // namespace trivium::index
