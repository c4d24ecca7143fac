// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/logistic_regression.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "kernels/matrix_products.h"
#include "routing/learning/adam_optimizer.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kBatch = 256;
constexpr std::size_t kSteps = 600;
constexpr double kRate = 0.05;

}  // namespace

void Softmax(absl::Span<float> scores) {
  const float highest = *std::max_element(scores.begin(), scores.end());
  float sum = 0;
  for (float& score : scores) sum += score = std::exp(score - highest);
  for (float& score : scores) score /= sum;
}

LogisticFit FitLogistic(base::MatrixView rows, absl::Span<const float> targets,
                        absl::Span<const float> weights, std::size_t classes, double ridge,
                        std::uint64_t seed) {
  const std::size_t dimension = rows.columns;
  double total_weight = 0;
  for (float weight : weights) total_weight += weight;
  const auto mean_weight = static_cast<float>(total_weight / static_cast<double>(rows.rows));
  const auto decay = static_cast<float>(ridge / static_cast<double>(rows.rows));

  // The bias is the weight of a last column that is 1 in every row.
  base::AlignedMatrix model(classes, dimension + 1), mean(classes, dimension + 1);
  AdamOptimizer steps(kRate);
  base::Random random(seed);
  base::AlignedMatrix batch(kBatch, dimension + 1), slopes(kBatch, classes);
  for (std::size_t i = 0; i < kBatch; ++i) batch.row(i)[dimension] = 1;
  std::vector<std::size_t> drawn(kBatch);
  for (std::size_t step = 0; step < kSteps; ++step) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      drawn[i] = random.Below(rows.rows);
      std::copy_n(rows.row(drawn[i]), dimension, batch.row(i));
    }
    kernels::MultiplyByTransposed(batch.view(), model.view(), 1, &slopes);
    for (std::size_t i = 0; i < kBatch; ++i) {
      float* slope = slopes.row(i);
      Softmax(absl::MakeSpan(slope, classes));
      const float weight = weights[drawn[i]] / mean_weight / kBatch;
      for (std::size_t c = 0; c < classes; ++c) {
        slope[c] = weight * (slope[c] - targets[drawn[i] * classes + c]);
      }
    }
    base::AlignedMatrix gradient(classes, dimension + 1);
    kernels::AddTransposedProduct(slopes.view(), batch.view(), {}, 1, &gradient);
    for (std::size_t c = 0; c < classes; ++c) {
      for (std::size_t j = 0; j < dimension; ++j) gradient.row(c)[j] += decay * model.row(c)[j];
    }
    steps.Step(gradient, &model);
    if (step < kSteps / 2) continue;
    const float share = 1.0f / static_cast<float>(step - kSteps / 2 + 1);
    for (std::size_t c = 0; c < classes; ++c) {
      for (std::size_t j = 0; j <= dimension; ++j) {
        mean.row(c)[j] += share * (model.row(c)[j] - mean.row(c)[j]);
      }
    }
  }
  LogisticFit fit{base::AlignedMatrix(classes, dimension), {}};
  for (std::size_t c = 0; c < classes; ++c) {
    std::copy_n(mean.row(c), dimension, fit.weights.row(c));
    fit.bias.push_back(mean.row(c)[dimension]);
  }
  return fit;
}

}  // namespace trivium::routing
