// SPDX-License-Identifier: Apache-2.0
// How widely rows spread over the nodes of a level, each by itself and all together.
#pragma once

#include <cstddef>

#include "base/aligned_matrix.h"

namespace trivium::routing {

// entropy_weight x the mean entropy of the rows [first, n) over the nodes of `level`, in shares of the
// largest possible, less balance_weight x that of their mean: sharp rows and balanced nodes lower it. Adds
// its derivative to `gradient`, as `probabilities` n x nodes. Cost: two logarithms a node and row, on the
// calling thread.
double EntropyLoss(const base::AlignedMatrix& probabilities, std::size_t first, std::size_t level,
                   double entropy_weight, double balance_weight, base::AlignedMatrix* gradient);

}  // namespace trivium::routing
