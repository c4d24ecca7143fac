// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/distillation_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::routing {

TreeLoss DistillationLoss(const base::AlignedMatrix& probabilities, const base::AlignedMatrix& teacher,
                          std::size_t level, float temperature, float weight, int thread_count,
                          base::AlignedMatrix* gradient) {
  const std::size_t n = teacher.rows(), m = teacher.columns();
  const std::size_t first = std::size_t{1} << level;  // node of the level, and how many there are
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  // Each thread sums the gradients of documents over a fixed stretch of anchors.
  const int stretches = std::max(1, thread_count);
  std::vector<base::AlignedMatrix> by_document(stretches);
  std::vector<TreeLoss> losses(stretches);
  base::ParallelFor(stretches, thread_count, 1, [&](std::size_t stretch, int) {
    base::AlignedMatrix& sums = by_document[stretch];
    sums = base::AlignedMatrix(m, first);
    std::vector<float> shared(m), student(m);
    for (std::size_t i = stretch * n / stretches; i < (stretch + 1) * n / stretches; ++i) {
      const float* anchor = probabilities.row(i) + first;
      const float* wanted = teacher.row(i);
      float largest = -std::numeric_limits<float>::infinity();
      for (std::size_t j = 0; j < m; ++j) {
        if (wanted[j] < 0) continue;
        shared[j] = table.shared_mass_f32(anchor, probabilities.row(n + j) + first, first);
        student[j] = temperature * shared[j];
        largest = std::max(largest, student[j]);
      }
      double sum = 0;
      for (std::size_t j = 0; j < m; ++j) {
        if (wanted[j] >= 0) sum += std::exp(student[j] - largest);
      }
      const double log_sum = std::log(sum) + largest;
      const double scale = weight / static_cast<double>(n);
      for (std::size_t j = 0; j < m; ++j) {
        if (wanted[j] < 0) continue;
        const double log_probability = student[j] - log_sum;
        if (wanted[j] > 0)
          losses[stretch].value += scale * wanted[j] * (std::log(wanted[j]) - log_probability);
        const double slope = scale * (std::exp(log_probability) - wanted[j]) * temperature;
        losses[stretch].by_temperature += slope * shared[j];
        if (slope == 0) continue;
        table.add_shared_mass_gradient(anchor, probabilities.row(n + j) + first, first,
                                       static_cast<float>(slope), gradient->row(i) + first, sums.row(j));
      }
    }
  });
  TreeLoss loss;
  for (int stretch = 0; stretch < stretches; ++stretch) {
    loss.value += losses[stretch].value;
    loss.by_temperature += losses[stretch].by_temperature;
  }
  base::ParallelFor(m, thread_count, 32, [&](std::size_t j, int) {
    float* out = gradient->row(n + j) + first;
    for (const base::AlignedMatrix& sums : by_document) {
      for (std::size_t c = 0; c < first; ++c) out[c] += sums.row(j)[c];
    }
  });
  return loss;
}

}  // namespace trivium::routing
