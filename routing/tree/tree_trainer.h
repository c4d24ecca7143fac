// SPDX-License-Identifier: Apache-2.0
// Learns a tree whose node probabilities stand for vectors: documents that share much of them are those whose
// vectors are near. No judgements are needed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "routing/tree/split_tree.h"

namespace trivium::routing {

// Fewer documents teach nothing that could be shown.
inline constexpr std::size_t kFewestTreeDocuments = 64;

// All rows are unit vectors.
struct TreeTrainingData {
  base::MatrixView documents;  // n x d
  base::MatrixView queries;    // m x d, as the tree will be asked them; 0: documents are the only anchors
  // m, or empty: rows of `documents` judged relevant for each query.
  std::vector<std::vector<std::uint32_t>> relevant;
};

struct TreeTrainingOptions {
  std::size_t depth = 10;            // 1 to kDeepestSplitTree
  bool mlp = false;                  // MLP splits, of 2 d features; else linear
  std::size_t step_count = 6000;     // at most
  std::size_t anchor_count = 48;     // of a step
  std::size_t document_count = 384;  // of a step
  std::size_t near = 100;            // documents near an anchor that are drawn with it
  std::size_t most_anchors = 16384;  // with what lies near them
  float teacher_temperature = 0.05f;
  float label_share = 0.5f;  // of the teacher of a judged query
  float steepness = 0.3;     // at the start
  float temperature = 150;   // likewise, of the similarities at every level
  double rate = 0.03;
  double level_power = 2;  // level l is drawn in proportion to l^level_power
  std::size_t levels_a_step = 2;
  // See EntropyLoss, at the drawn levels. Sharper rows take fewer bytes and are found by reading fewer, and
  // stand less well for the vectors.
  double entropy_weight = 0;
  double balance_weight = 0;
  // After so many steps the held-out anchors are asked; after `patience` looks without a better one learning
  // ends.
  std::size_t look_every = 1000;
  std::size_t patience = 4;
  std::size_t held_out = 512;  // anchors, at most a fifth; what is nearly the same is not learned from
  std::uint64_t seed = 0;
  int thread_count = 0;  // 0: all processors this process may use
  // A file that is written at every look, from which the same training goes on after it was stopped, to the
  // same end. Removed when training ends. Empty: none.
  std::string checkpoint;
  std::function<void(std::string_view stage, double done_share)>
      progress;                                  // on the calling thread; may be empty
  const std::atomic<bool>* cancelled = nullptr;  // checked at every step: kCancelled. May be null

  absl::Status Validate() const;  // kInvalidArgument names the field
};

// How well a level stands for the vectors: the share of the ten documents nearest by vectors that are among
// the ten that share most with held-out anchors.
struct TreeLevelQuality {
  std::size_t level = 0;
  double overlap = 0;
  double untrained = 0;  // of the tree that training began with
  double entropy = 0;    // of a document's distribution, in bits, mean
};

struct TreeTrainingReport {
  std::size_t anchors = 0, queries = 0, judged = 0;
  std::size_t steps = 0;  // after which held-out overlap was best
  std::vector<TreeLevelQuality> levels;
  double gain_low = 0;  // of the overlap at the last level over the untrained: lower end of its 95 % interval
  float steepness = 0, temperature = 0;  // learned; that of the last level
  double seconds = 0;
};

struct TrainedTree {
  SplitTree tree;
  TreeTrainingReport report;
};

// kInvalidArgument: arrays of different lengths, options out of range. kFailedPrecondition: fewer than
// kFewestTreeDocuments. kCancelled. The same to the last bit with one thread, up to rounding with equal
// numbers.
//
// Source:  Gupta et al. 2025 (ReTreever): the tree, its similarity, levels drawn in proportion to l^2.
// Differs: the teacher is the flat similarity of the vectors (KL divergence of two softmaxes), to which
//          judgements may be added; halving start; a learned temperature a level.
// Cost: most_anchors x n products for what lies near; a step 6 x (anchors + documents) x 2^depth x d
// operations.
absl::StatusOr<TrainedTree> TrainTree(const TreeTrainingData& data, const TreeTrainingOptions& options);

}  // namespace trivium::routing
