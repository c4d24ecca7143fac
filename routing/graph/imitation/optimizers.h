// SPDX-License-Identifier: Apache-2.0
// Steps down a gradient. Rates are shares of the size of what is learned: 0.01 moves a weight by about a
// hundredth of the root mean square of its kind.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "base/aligned_matrix.h"

namespace trivium::routing {

inline double RootMeanSquare(const float* values, std::size_t count) {
  double squares = 0;
  for (std::size_t i = 0; i < count; ++i) squares += double(values[i]) * values[i];
  return count == 0 ? 0 : std::sqrt(squares / double(count));
}
inline double RootMeanSquare(const base::AlignedMatrix& matrix) {  // the padding is zero
  const double padded = RootMeanSquare(matrix.row(0), matrix.rows() * matrix.stride());
  return matrix.columns() == 0 ? 0 : padded * std::sqrt(double(matrix.stride()) / double(matrix.columns()));
}

// Dense. Source: Kingma and Ba 2015, Alg. 1. 8 bytes a weight.
class Adam {
 public:
  // Moves row i of the weights by about rates[i]. The shapes are the same at every step.
  void Step(const base::AlignedMatrix& gradient, const std::vector<double>& rates,
            base::AlignedMatrix* weights) {
    const std::size_t columns = weights->columns();
    mean_.resize(weights->rows() * columns, 0.0f);
    square_.resize(weights->rows() * columns, 0.0f);
    ++steps_;
    const double mean_scale = 1 / (1 - std::pow(kMeanDecay, steps_));
    const double square_scale = 1 / (1 - std::pow(kSquareDecay, steps_));
    for (std::size_t i = 0; i < weights->rows(); ++i) {
      for (std::size_t j = 0; j < columns; ++j) {
        const double slope = gradient.row(i)[j];
        float& mean = mean_[i * columns + j];
        float& square = square_[i * columns + j];
        mean = static_cast<float>(kMeanDecay * mean + (1 - kMeanDecay) * slope);
        square = static_cast<float>(kSquareDecay * square + (1 - kSquareDecay) * slope * slope);
        const double size = std::sqrt(square_scale * square);
        if (size > 0) weights->row(i)[j] -= static_cast<float>(rates[i] * mean_scale * mean / size);
      }
    }
  }

 private:
  static constexpr double kMeanDecay = 0.9, kSquareDecay = 0.99;

  std::vector<float> mean_, square_;
  double steps_ = 0;
};

// One row of a table of which few rows have a gradient: `sum` collects the mean squares of its gradients.
// Source: Duchi et al. 2011, one accumulator a row as in word embeddings.
inline void RowAdaGradStep(const float* gradient, std::size_t count, double rate, float* sum, float* row) {
  const double size = RootMeanSquare(gradient, count);
  *sum += float(size * size);
  if (!(*sum > 0)) return;
  const auto scale = float(rate / std::sqrt(double(*sum)));
  for (std::size_t i = 0; i < count; ++i) row[i] -= scale * gradient[i];
}

}  // namespace trivium::routing
