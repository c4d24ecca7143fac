// SPDX-License-Identifier: Apache-2.0
// A split tree while it is learned: the probabilities of a batch of rows, their gradient, a step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/learning/adam_optimizer.h"
#include "routing/tree/split_tree.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

// Learns w, b and, where there is one, the hidden layer, and one steepness s for all nodes: logits are
// s (<w, f(x)> + b). One caller at a time.
class TreeLearner {
 public:
  // `start` has logits of steepness 1; s begins at `steepness`.
  TreeLearner(SplitTree start, float steepness, double rate);

  // Overwrites probabilities(), n x nodes, with those of `rows`, which stay borrowed until Backward, and sets
  // gradient(), n x nodes, to zero.
  void Forward(base::MatrixView rows, int thread_count);
  const base::AlignedMatrix& probabilities() const { return probabilities_; }
  // The derivative of the loss by each probability, for the caller to fill in.
  base::AlignedMatrix& gradient() { return gradient_; }

  // Takes gradient() back to the weights; the sum over all calls since the last Step.
  void Backward(int thread_count);
  // Derivatives of the loss by the weights, summed up so far: for tests.
  const base::AlignedMatrix& split_gradient() const { return split_gradient_; }
  const base::AlignedMatrix& bias_gradient() const { return bias_gradient_; }
  const base::AlignedMatrix& layer_gradient() const { return layer_gradient_; }
  float steepness_gradient() const { return steepness_gradient_.row(0)[0]; }  // by log s

  // Descends at `rate_share` of the rate.
  void Step(double rate_share);

  float steepness() const;
  SplitTree tree() const;                 // with logits of steepness 1: s is in its weights
  SplitTree& weights() { return tree_; }  // without it

  // All that the next step depends on.
  void Save(storage::ByteWriter* writer) const;
  bool Load(storage::ByteReader* reader);  // false: malformed, or of another shape

 private:
  SplitTree tree_;
  base::AlignedMatrix biases_;  // 1 x inner nodes, as in tree_
  base::AlignedMatrix layer_biases_;
  base::AlignedMatrix steepness_;  // 1 x 1: log s
  base::MatrixView rows_;
  base::AlignedMatrix features_, products_, probabilities_, gradient_, logit_gradient_, feature_gradient_;
  base::AlignedMatrix split_gradient_, bias_gradient_, layer_gradient_, layer_bias_gradient_,
      steepness_gradient_;
  AdamOptimizer split_steps_, bias_steps_, layer_steps_, layer_bias_steps_, steepness_steps_;
};

}  // namespace trivium::routing
