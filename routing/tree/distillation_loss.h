// SPDX-License-Identifier: Apache-2.0
// How far the order in which a level of the tree puts documents is from that of a teacher.
#pragma once

#include <cstddef>

#include "base/aligned_matrix.h"

namespace trivium::routing {

struct TreeLoss {
  double value = 0;
  double by_temperature = 0;  // derivative by the logarithm of the temperature
};

// The mean over anchors of the cross-entropy between their row of `teacher`, a distribution over documents,
// and softmax(temperature x shared mass at `level`), less the teacher's own entropy (so KL divergence); times
// `weight`, as the gradients are. A document of `teacher` -1 does not count for that anchor.
//
//   probabilities  (n + m) x nodes, as of SplitTree::Assign: anchors, then documents
//   teacher        n x m
//   gradient       as probabilities: what is added to
//
// With a teacher of flat similarities this is distillation (Hinton et al. 2015) as ReTreever does not use it;
// with one of judgements it is the InfoNCE of Gupta et al. 2025, Eq. 4, one way.
// Cost: n m 2^level, twice that again for the gradient. The same for any number of threads up to rounding; to
// the last bit for equal numbers.
TreeLoss DistillationLoss(const base::AlignedMatrix& probabilities, const base::AlignedMatrix& teacher,
                          std::size_t level, float temperature, float weight, int thread_count,
                          base::AlignedMatrix* gradient);

}  // namespace trivium::routing
