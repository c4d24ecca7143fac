// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/code_learner.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

// Pairs whose residuals are held at once.
constexpr std::size_t kBlock = 2048;

}  // namespace

std::shared_ptr<const index::QuerySpread> LearnSpread(base::MatrixView rows, const index::EdgeCodes& codes,
                                                      const QueryAnswers& training) {
  const index::RandomRotation& rotation = codes.rotation();
  const std::size_t dimension = rotation.padded_dimension(), queries = training.queries.rows;
  const bool inner_product = codes.inner_product();
  const float* const mean = inner_product ? nullptr : codes.mean();
  auto spread = std::make_shared<index::QuerySpread>();
  spread->dimension = dimension;
  spread->pull = inner_product ? 0.0f : kPull;
  // Of each query as many answers, spread evenly over the list from the nearest on; where there are more
  // queries than pairs, of queries spread evenly one answer.
  const std::size_t asked = std::min(queries, kMostPairs);
  const std::size_t answers = std::clamp<std::size_t>(kMostPairs / std::max<std::size_t>(asked, 1), 1,
                                                      std::max<std::size_t>(training.answer_count, 1));
  const std::size_t pairs = training.answer_count == 0 ? 0 : asked * answers;
  base::AlignedMatrix sum(dimension, dimension), residuals(std::min(kBlock, pairs), dimension);
  std::vector<float> vertex(dimension);
  for (std::size_t first = 0; first < pairs; first += kBlock) {
    const std::size_t count = std::min(kBlock, pairs - first);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t query = (first + i) / answers * queries / asked;
      float* residual = residuals.row(i);
      rotation.Apply(training.queries.row(query), mean, residual);
      if (inner_product) continue;
      const std::size_t rank = (first + i) % answers * training.answer_count / answers;
      rotation.Apply(rows.row(training.AnswersOf(query)[rank]), mean, vertex.data());
      for (std::size_t j = 0; j < dimension; ++j) residual[j] -= kPull * vertex[j];
    }
    const base::MatrixView block(residuals.row(0), count, dimension, residuals.stride());
    kernels::AddTransposedProduct(block, block, {}, 1, &sum);
  }
  // As if as many queries as there are dimensions had come from every direction alike.
  double trace = 0;
  for (std::size_t i = 0; i < dimension; ++i) trace += sum.row(i)[i];
  const double total = static_cast<double>(asked + dimension);
  const double scale = pairs == 0 ? 0 : static_cast<double>(asked) / static_cast<double>(pairs) / total;
  const double every = pairs == 0 ? 1 : trace / static_cast<double>(pairs) / total;
  spread->covariance.resize(dimension * dimension);
  for (std::size_t i = 0; i < dimension; ++i) {
    float* row = &spread->covariance[i * dimension];
    for (std::size_t j = 0; j < dimension; ++j) row[j] = static_cast<float>(scale * sum.row(i)[j]);
    row[i] += static_cast<float>(every);
  }
  return spread;
}

}  // namespace trivium::routing
