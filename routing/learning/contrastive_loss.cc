// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/contrastive_loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "kernels/matrix_products.h"

namespace trivium::routing {

double ContrastiveLoss(const ContrastiveBatch& batch, base::AlignedMatrix* gradient) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const std::size_t query_count = batch.queries.rows, candidate_count = batch.candidates.rows;
  // A row a candidate, so that the gradient below is a product of these rows with the candidates'.
  base::AlignedMatrix shares(candidate_count, query_count);
  kernels::MultiplyByTransposed(batch.candidates, batch.queries, 1, &shares);
  const float scale = 1 / batch.temperature;
  for (std::size_t c = 0; c < candidate_count; ++c) {
    for (std::size_t q = 0; q < query_count; ++q) shares.row(c)[q] *= scale;
  }
  for (const auto& [query, candidate] : batch.ignored) shares.row(candidate)[query] = kNever;

  std::vector<float> highest(query_count, kNever), sums(query_count, 0.0f);
  for (std::size_t c = 0; c < candidate_count; ++c) {
    for (std::size_t q = 0; q < query_count; ++q) highest[q] = std::max(highest[q], shares.row(c)[q]);
  }
  double loss = 0;
  for (std::size_t q = 0; q < query_count; ++q) loss += highest[q] - shares.row(batch.positives[q])[q];
  for (std::size_t c = 0; c < candidate_count; ++c) {
    float* row = shares.row(c);
    for (std::size_t q = 0; q < query_count; ++q) {
      row[q] = std::exp(row[q] - highest[q]);
      sums[q] += row[q];
    }
  }
  for (std::size_t q = 0; q < query_count; ++q) loss += std::log(sums[q]);

  const float slope = scale / static_cast<float>(query_count);
  for (std::size_t c = 0; c < candidate_count; ++c) {
    for (std::size_t q = 0; q < query_count; ++q) shares.row(c)[q] *= slope / sums[q];
  }
  for (std::size_t q = 0; q < query_count; ++q) shares.row(batch.positives[q])[q] -= slope;
  *gradient = base::AlignedMatrix(query_count, batch.queries.columns);
  kernels::AddTransposedProduct(shares.view(), batch.candidates, {}, 1, gradient);
  return loss / static_cast<double>(query_count);
}

}  // namespace trivium::routing
