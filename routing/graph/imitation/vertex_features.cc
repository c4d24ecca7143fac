// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/vertex_features.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/distance_table.h"

namespace trivium::routing {

FeatureScale MeasureFeatures(base::MatrixView rows) {
  const auto product = kernels::ActiveDistances().inner_product_f32;
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const double square = product(rows.row(i), rows.row(i), rows.columns);
    sum += square;
    squares += square * square;
  }
  const double count = static_cast<double>(std::max<std::size_t>(1, rows.rows));
  FeatureScale scale;
  scale.square_mean = sum / count;
  if (sum > 0) scale.coordinate = std::sqrt(scale.square_mean / static_cast<double>(rows.columns));
  const double variance = squares / count - scale.square_mean * scale.square_mean;
  // Rows of length one differ by rounding only.
  if (variance > 1e-8 * scale.square_mean * scale.square_mean) scale.square_deviation = std::sqrt(variance);
  return scale;
}

void FillFeatures(const index::ProximityGraph& graph, base::MatrixView rows, const FeatureScale& scale,
                  std::size_t vertex, float* out) {
  const std::size_t d = rows.columns;
  const float* x = rows.row(vertex);
  float* const own = out;
  float* const mean = out + d;
  const auto inverse = static_cast<float>(1 / scale.coordinate);
  double square = 0;
  for (std::size_t j = 0; j < d; ++j) {
    own[j] = x[j] * inverse;
    mean[j] = 0;
    square += double(x[j]) * x[j];
  }
  const auto neighbors = graph.Neighbors(static_cast<std::uint32_t>(vertex));
  for (const std::uint32_t neighbor : neighbors) {
    const float* y = rows.row(neighbor);
    for (std::size_t j = 0; j < d; ++j) mean[j] += y[j];
  }
  const float share = neighbors.empty() ? 0 : inverse / static_cast<float>(neighbors.size());
  for (std::size_t j = 0; j < d; ++j) mean[j] = neighbors.empty() ? own[j] : mean[j] * share;
  out[2 * d] = scale.square_deviation == 0
                   ? 0.0f
                   : static_cast<float>((square - scale.square_mean) / scale.square_deviation);
  out[2 * d + 1] = 1;
}

}  // namespace trivium::routing
