// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/projected_start.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kSample = 20000;
constexpr int kIterations = 40;

std::vector<float> Mean(base::MatrixView rows) {
  std::vector<double> sum(rows.columns, 0.0);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    for (std::size_t j = 0; j < rows.columns; ++j) sum[j] += rows.row(i)[j];
  }
  std::vector<float> mean(rows.columns);
  for (std::size_t j = 0; j < rows.columns; ++j) {
    mean[j] = static_cast<float>(sum[j] / static_cast<double>(rows.rows));
  }
  return mean;
}

// Gram-Schmidt; a row that is nothing but others becomes zero.
void Orthonormalise(base::AlignedMatrix* matrix) {
  const auto product = kernels::ActiveDistances().inner_product_f32;
  const std::size_t d = matrix->columns();
  for (std::size_t i = 0; i < matrix->rows(); ++i) {
    float* row = matrix->row(i);
    for (int pass = 0; pass < 2; ++pass) {  // twice is enough (Giraud et al. 2005)
      for (std::size_t k = 0; k < i; ++k) {
        const float share = product(row, matrix->row(k), d);
        for (std::size_t j = 0; j < d; ++j) row[j] -= share * matrix->row(k)[j];
      }
    }
    const float length = std::sqrt(product(row, row, d));
    for (std::size_t j = 0; j < d; ++j) row[j] = length > 1e-20f ? row[j] / length : 0.0f;
  }
}

base::AlignedMatrix PrincipalDirections(base::MatrixView rows, const std::vector<float>& mean,
                                        std::size_t count, int thread_count, base::Random* random) {
  const std::size_t d = rows.columns;
  base::AlignedMatrix directions(count, d);
  if (count == d) {
    for (std::size_t i = 0; i < d; ++i) directions.row(i)[i] = 1;
    return directions;
  }
  base::AlignedMatrix sample(std::min(kSample, rows.rows), d);
  for (std::size_t i = 0; i < sample.rows(); ++i) {
    const float* row = rows.row(sample.rows() == rows.rows ? i : random->Below(rows.rows));
    for (std::size_t j = 0; j < d; ++j) sample.row(i)[j] = row[j] - mean[j];
  }
  base::AlignedMatrix covariance(d, d);
  kernels::AddTransposedProduct(sample.view(), sample.view(), {}, thread_count, &covariance);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < d; ++j) directions.row(i)[j] = static_cast<float>(random->Normal());
  }
  base::AlignedMatrix next(count, d);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    Orthonormalise(&directions);
    kernels::MultiplyByTransposed(directions.view(), covariance.view(), thread_count, &next);
    std::swap(directions, next);
  }
  Orthonormalise(&directions);
  return directions;
}

}  // namespace

ProjectedStart StartFromProjection(base::MatrixView rows, base::Metric metric, const FeatureScale& scale,
                                   std::size_t code_dimension, int thread_count, std::uint64_t seed) {
  const auto product = kernels::ActiveDistances().inner_product_f32;
  const std::size_t d = rows.columns;
  base::Random random(seed);
  const std::vector<float> mean = Mean(rows);
  ProjectedStart start;
  start.query_map = PrincipalDirections(rows, mean, code_dimension, thread_count, &random);
  start.vertex_map = base::AlignedMatrix(code_dimension + 1, FeatureCount(d));

  const auto s = static_cast<float>(scale.coordinate);
  float* bias = start.vertex_map.row(code_dimension);
  for (std::size_t j = 0; j < d; ++j) bias[j] = s * mean[j];
  for (std::size_t r = 0; r < code_dimension; ++r) {
    const float* direction = start.query_map.row(r);
    const float along_mean = product(direction, mean.data(), d);
    float* row = start.vertex_map.row(r);
    for (std::size_t j = 0; j < d; ++j) {
      row[j] = s * direction[j];
      bias[j] -= s * along_mean * direction[j];
    }
    row[2 * d + 1] = -along_mean;
  }
  // Constants are left out of b: no choice depends on them.
  if (metric == base::Metric::kSquaredL2) bias[2 * d] -= static_cast<float>(scale.square_deviation / 2);
  return start;
}

}  // namespace trivium::routing
