// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/ridge_regression.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

// Replaces the lower triangle of the symmetric m x m `a` by its Cholesky factor. False: not positive
// definite.
bool FactorizeCholesky(std::size_t m, std::vector<double>* a) {
  double* const values = a->data();
  for (std::size_t j = 0; j < m; ++j) {
    double* row_j = values + j * m;
    double pivot = row_j[j];
    for (std::size_t k = 0; k < j; ++k) pivot -= row_j[k] * row_j[k];
    if (!(pivot > 0)) return false;
    row_j[j] = std::sqrt(pivot);
    for (std::size_t i = j + 1; i < m; ++i) {
      double* row_i = values + i * m;
      double sum = row_i[j];
      for (std::size_t k = 0; k < j; ++k) sum -= row_i[k] * row_j[k];
      row_i[j] = sum / row_j[j];
    }
  }
  return true;
}

// Solves L L' x = b in place.
void SolveCholesky(std::size_t m, const std::vector<double>& factor, double* b) {
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= factor[i * m + k] * b[k];
    b[i] /= factor[i * m + i];
  }
  for (std::size_t i = m; i-- > 0;) {
    for (std::size_t k = i + 1; k < m; ++k) b[i] -= factor[k * m + i] * b[k];
    b[i] /= factor[i * m + i];
  }
}

}  // namespace

absl::StatusOr<RidgeFit> FitRidge(base::MatrixView rows, absl::Span<const std::uint32_t> chosen,
                                  absl::Span<const float> weights, absl::Span<const float> targets,
                                  double ridge) {
  const std::size_t n = chosen.size();
  const std::size_t m = rows.columns + 1;
  const std::size_t target_count = targets.size() / n;
  const kernels::DistanceTable& kernels = kernels::ActiveDistances();

  // Transposed and scaled by the root of the weight, so that the equations are plain inner products.
  base::AlignedMatrix columns(m, n);
  base::AlignedMatrix scaled_targets(target_count, n);
  for (std::size_t i = 0; i < n; ++i) {
    const float root = std::sqrt(weights[i]);
    for (std::size_t c = 0; c + 1 < m; ++c) columns.row(c)[i] = root * rows.row(chosen[i])[c];
    columns.row(m - 1)[i] = root;
    for (std::size_t t = 0; t < target_count; ++t) scaled_targets.row(t)[i] = root * targets[t * n + i];
  }
  std::vector<double> gram(m * m);
  std::vector<float> products(m);
  for (std::size_t c = 0; c < m; ++c) {
    kernels.inner_product_f32_rows(columns.row(c), columns.row(0), columns.stride(), c + 1, n,
                                   products.data());
    for (std::size_t j = 0; j <= c; ++j) gram[c * m + j] = products[j];
    if (c + 1 < m) gram[c * m + c] += ridge;
  }
  if (!FactorizeCholesky(m, &gram)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "ridge: %g is too small for %d pilots of %d dimensions, expected a larger one", ridge, n, m - 1));
  }

  RidgeFit fit;
  fit.coefficients.resize(target_count * m);
  fit.residuals.resize(target_count);
  double weight_sum = 0;
  for (float w : weights) weight_sum += w;
  std::vector<double> predicted(n);
  for (std::size_t t = 0; t < target_count; ++t) {
    double* solution = &fit.coefficients[t * m];
    kernels.inner_product_f32_rows(scaled_targets.row(t), columns.row(0), columns.stride(), m, n,
                                   products.data());
    for (std::size_t c = 0; c < m; ++c) solution[c] = products[c];
    SolveCholesky(m, gram, solution);
    predicted.assign(n, 0.0);
    for (std::size_t c = 0; c < m; ++c) {
      for (std::size_t i = 0; i < n; ++i) predicted[i] += solution[c] * columns.row(c)[i];
    }
    double squared_error = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double error = predicted[i] - scaled_targets.row(t)[i];
      squared_error += error * error;
    }
    fit.residuals[t] = std::sqrt(squared_error / weight_sum);
  }
  return fit;
}

}  // namespace trivium::routing
