// SPDX-License-Identifier: Apache-2.0
// Brings queries to about unit length, with a component of 1 behind, so that one learning rate fits any space
// and a bias is learned like a weight.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

class QueryScale {
 public:
  // Of the root of the mean square of the lengths of `queries`.
  explicit QueryScale(base::MatrixView queries) {
    double squares = 0;
    for (std::size_t i = 0; i < queries.rows; ++i) {
      for (std::size_t c = 0; c < queries.columns; ++c)
        squares += double{queries.row(i)[c]} * queries.row(i)[c];
    }
    if (squares > 0) factor_ = static_cast<float>(std::sqrt(static_cast<double>(queries.rows) / squares));
  }

  base::AlignedMatrix Scaled(base::MatrixView queries) const {
    base::AlignedMatrix scaled(queries.rows, queries.columns + 1);
    for (std::size_t i = 0; i < queries.rows; ++i) {
      for (std::size_t c = 0; c < queries.columns; ++c) scaled.row(i)[c] = factor_ * queries.row(i)[c];
      scaled.row(i)[queries.columns] = 1;
    }
    return scaled;
  }

  // Weights whose products with scaled queries are those of `rows`, with `biases` added, times `steepness`
  // and, where queries are not of unit length, the square of the factor: a similarity in units of lengths.
  base::AlignedMatrix ScaledScores(base::MatrixView rows, absl::Span<const float> biases,
                                   float steepness) const {
    base::AlignedMatrix weights(rows.rows, rows.columns + 1);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      for (std::size_t c = 0; c < rows.columns; ++c) {
        weights.row(i)[c] = steepness * factor_ * rows.row(i)[c];
      }
      weights.row(i)[rows.columns] = steepness * factor_ * factor_ * biases[i];
    }
    return weights;
  }

  // The same products with queries as they are.
  LinearScores Unscaled(const base::AlignedMatrix& weights) const {
    const std::size_t columns = weights.columns() - 1;
    LinearScores scores{base::AlignedMatrix(weights.rows(), columns), std::vector<float>(weights.rows())};
    for (std::size_t i = 0; i < weights.rows(); ++i) {
      for (std::size_t c = 0; c < columns; ++c) scores.weights.row(i)[c] = factor_ * weights.row(i)[c];
      scores.biases[i] = weights.row(i)[columns];
    }
    return scores;
  }

  float factor() const { return factor_; }

 private:
  float factor_ = 1;
};

}  // namespace trivium::routing
