// SPDX-License-Identifier: Apache-2.0
// Where the training of a tree stands, in a file from which it can be gone on with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "routing/learning/adam_optimizer.h"
#include "routing/tree/split_tree.h"
#include "routing/tree/tree_learner.h"

namespace trivium::routing {

struct TreeTrainingData;
struct TreeTrainingOptions;

// All that the steps to come depend on.
struct TreeTrainingState {
  TreeLearner learner;
  base::AlignedMatrix temperatures;  // 1 x depth: of each level, their logarithms
  AdamOptimizer temperature_steps;
  std::size_t step = 0;
  SplitTree best_tree;  // with logits of steepness 1
  double best = 0;      // held-out quality
  std::size_t best_step = 0;
  float best_steepness = 0, best_temperature = 0;
  std::size_t since_best = 0;  // looks
};

// Of everything that the trained tree depends on; threads, progress and the checkpoint's path do not count.
std::uint64_t TreeTrainingFingerprint(const TreeTrainingData& data, const TreeTrainingOptions& options);

// Replaces `path`, durably. What the file system says.
absl::Status SaveTreeCheckpoint(const std::string& path, std::uint64_t fingerprint,
                                const TreeTrainingState& state);

// Overwrites `state`, which has the shapes of the same training, with what `path` holds; false where there is
// no such file. kFailedPrecondition: of another training. kDataLoss: damaged.
absl::StatusOr<bool> LoadTreeCheckpoint(const std::string& path, std::uint64_t fingerprint,
                                        TreeTrainingState* state);

}  // namespace trivium::routing
