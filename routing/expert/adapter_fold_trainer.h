// SPDX-License-Identifier: Apache-2.0
// One adapter on its way: learns from some of the queries, step by step.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "routing/expert/adapter_trainer.h"
#include "routing/learning/balanced_sampler.h"
#include "routing/learning/residual_map.h"

namespace trivium::routing {

class AdapterFoldTrainer {
 public:
  // `chosen`: the queries to learn from, not empty. `queries` and `options` must outlive this.
  AdapterFoldTrainer(const AdapterQueries& queries, const std::vector<std::uint32_t>& chosen,
                     const AdapterTrainingOptions& options, std::uint64_t seed);

  double Step();                                               // returns the loss of its batch
  const base::AlignedMatrix& matrix() const { return mean_; }  // of the steps' matrices, see the options

 private:
  void DrawBatch();
  std::uint32_t AddCandidate(std::uint32_t document);

  const AdapterQueries& queries_;
  const AdapterTrainingOptions& options_;
  std::size_t batch_size_;
  BalancedSampler sampler_;
  base::Random random_;
  ResidualMap weights_;
  base::AlignedMatrix mean_;

  // The batch.
  base::AlignedMatrix rows_, candidates_;
  std::vector<std::uint32_t> drawn_, positives_;
  std::unordered_map<std::uint32_t, std::uint32_t> candidate_of_;  // by document
  std::vector<std::pair<std::uint32_t, std::uint32_t>> ignored_;
};

}  // namespace trivium::routing
