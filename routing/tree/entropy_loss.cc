// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/entropy_loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace trivium::routing {

double EntropyLoss(const base::AlignedMatrix& probabilities, std::size_t first, std::size_t level,
                   double entropy_weight, double balance_weight, base::AlignedMatrix* gradient) {
  constexpr float kTiny = 1e-12f;
  const std::size_t begin = std::size_t{1} << level;
  const auto rows = static_cast<double>(probabilities.rows() - first);
  const double largest = static_cast<double>(level) * std::log(2.0);
  std::vector<double> mean(begin, 0.0);
  double loss = 0;
  for (std::size_t i = first; i < probabilities.rows(); ++i) {
    const float* p = probabilities.row(i) + begin;
    float* slope = gradient->row(i) + begin;
    const double scale = entropy_weight / (rows * largest);
    for (std::size_t j = 0; j < begin; ++j) {
      const double log_p = std::log(std::max(p[j], kTiny));
      loss -= scale * p[j] * log_p;
      slope[j] -= static_cast<float>(scale * (log_p + 1));
      mean[j] += p[j] / rows;
    }
  }
  if (balance_weight == 0) return loss;
  for (std::size_t j = 0; j < begin; ++j) {
    const double log_mean = std::log(std::max(mean[j], double{kTiny}));
    loss += balance_weight / largest * mean[j] * log_mean;
    const auto slope = static_cast<float>(balance_weight / largest * (log_mean + 1) / rows);
    for (std::size_t i = first; i < probabilities.rows(); ++i) gradient->row(i)[begin + j] += slope;
  }
  return loss;
}

}  // namespace trivium::routing
