// SPDX-License-Identifier: Apache-2.0
// Weighted multinomial logistic regression: which of several classes a row belongs to, as probabilities.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::routing {

struct LogisticFit {
  base::AlignedMatrix weights;  // classes x d
  std::vector<float> bias;      // classes
};

// Minimises sum_i w_i H(t_i, softmax(W x_i + b)) / sum_i w_i + ridge |W|^2 / (2 n), H the cross-entropy.
//
//   rows     n x d, n >= 1
//   targets  n x classes, row-major: shares of the classes, which sum to 1 in each row
//   weights  one per row, >= 0, not all 0
//   ridge    > 0; in rows
//
// Adam on batches of 256 rows drawn at random, then the mean of the second half of the way (Polyak and
// Juditsky 1992), which is about as near to the minimum as held-out figures can tell. On the calling thread,
// the same on every run. Cost: 600 batches whatever n is.
LogisticFit FitLogistic(base::MatrixView rows, absl::Span<const float> targets,
                        absl::Span<const float> weights, std::size_t classes, double ridge,
                        std::uint64_t seed);

// Replaces the scores by their softmax.
void Softmax(absl::Span<float> scores);

}  // namespace trivium::routing
