// SPDX-License-Identifier: Apache-2.0
// The objective of FitLogistic, written down again in doubles.
#pragma once

#include <cmath>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::testing_support {

inline double SlowLogisticLoss(base::MatrixView rows, const std::vector<float>& targets,
                               const std::vector<float>& weights, double ridge,
                               const base::AlignedMatrix& model, const std::vector<float>& bias) {
  const std::size_t classes = bias.size();
  double loss = 0, total_weight = 0, squares = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    std::vector<double> scores(classes);
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      scores[c] = bias[c];
      for (std::size_t j = 0; j < rows.columns; ++j) {
        scores[c] += static_cast<double>(model.row(c)[j]) * rows.row(i)[j];
      }
      sum += std::exp(scores[c]);
    }
    for (std::size_t c = 0; c < classes; ++c) {
      loss -= weights[i] * targets[i * classes + c] * (scores[c] - std::log(sum));
    }
    total_weight += weights[i];
  }
  for (std::size_t c = 0; c < classes; ++c) {
    for (std::size_t j = 0; j < rows.columns; ++j) squares += std::pow(model.row(c)[j], 2);
  }
  return loss / total_weight + ridge * squares / (2 * static_cast<double>(rows.rows));
}

}  // namespace trivium::testing_support
