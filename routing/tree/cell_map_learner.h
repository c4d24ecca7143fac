// SPDX-License-Identifier: Apache-2.0
// Learns one vector and a bias a cell whose products with a query tell which cells hold its nearest
// documents.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

struct CellLearningOptions {
  int epochs = 16;          // at most
  std::size_t batch = 240;  // queries a step; a power of two would use few places of the caches
  double rate = 0.01;       // of Adam, for vectors whose components are about `steepness` / sqrt(dimension);
                            // falls to a tenth over the epochs, along a cosine
  float steepness = 20;     // of what is learned at the start: logits are products with centroids times this
  std::uint64_t seed = 0;
  int thread_count = 1;
  std::function<void(std::size_t epochs)> progress;  // on the calling thread
  const std::atomic<bool>* cancelled = nullptr;
};

// Overwrites `gradient`, of the shape of `weights` (cells x columns of `queries`), with that of the mean over
// the queries `chosen` of the cross-entropy between their shares and the softmax of their products; returns
// it.
double MapGradient(const base::AlignedMatrix& weights, base::MatrixView queries, const CellTargets& targets,
                   std::span<const std::uint32_t> chosen, int thread_count, base::AlignedMatrix* gradient);

struct LearnedMap {
  LinearScores start, learned;
};

// Starts at the centroids and stops where the loss on `held_out` no longer falls; the best epoch is kept.
// kCancelled.
//
// Source:  cross-entropy on the bins that hold the true neighbours, as Dong et al. 2020 (Neural LSH) train
//          their classifier.
// Differs: the bins are k-means cells, the classifier is linear and starts as what it replaces.
// Cost:    4 x queries x cells x dimension an epoch; 33,000 queries and 1,024 cells of 384: 2 s on two
// threads of a busy machine.
absl::StatusOr<LearnedMap> LearnCellMap(base::MatrixView centroids, absl::Span<const float> biases,
                                        const CellTargets& training, const CellTargets& held_out,
                                        const CellLearningOptions& options);

}  // namespace trivium::routing
