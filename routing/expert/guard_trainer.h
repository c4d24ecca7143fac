// SPDX-License-Identifier: Apache-2.0
// Trains a guard, chooses its threshold on queries that it did not learn from, and decides whether it may
// reject queries by default.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "routing/expert/answer_statistics.h"
#include "routing/expert/dispatch_trainer.h"
#include "routing/expert/query_guard.h"

namespace trivium::routing {

struct GuardTrainingOptions {
  // Share of the queries served that must be accepted, in (0, 1); 0: whatever makes the harmonic mean of
  // acceptance and rejection largest.
  double acceptance = 0.95;
  std::size_t fold_count = 5;
  std::size_t bootstrap_rounds = 1000;
  std::uint64_t seed = 0;
  int thread_count = 0;                          // 0: all processors this process may use
  const std::atomic<bool>* cancelled = nullptr;  // kCancelled. May be null
  absl::Status Validate() const;                 // kInvalidArgument names the field
};

// Each query judged by a guard that learned from the other folds.
struct GuardReport {
  std::size_t queries = 0, background = 0;
  double threshold = 0;   // least probability accepted
  double acceptance = 0;  // share of `queries` accepted at it
  double rejection = 0;   // share of `background` rejected at it
  double auroc = 0;       // probability that a query scores above one of the background
  Interval auroc_interval;
  // acceptance + rejection - 1, which is 0 for a guard that knows nothing, at its 95 % interval.
  Interval skill_interval;
  bool accepted = false;  // gate: both intervals lie above chance (0.5 and 0)
  std::string reason;     // one sentence for people
};

struct TrainedGuard {
  GuardReport report;
  QueryGuard guard;  // learned from all queries
};

// `queries`: those that experts serve; `background`: ordinary others, whose utilities are not looked at.
// Queries of one group share a fold.
//
// kInvalidArgument: fewer than 10 on either side, dimensions that differ, options out of range. kCancelled.
absl::StatusOr<TrainedGuard> TrainGuard(const DispatchQueries& queries, const DispatchQueries& background,
                                        const GuardTrainingOptions& options);

}  // namespace trivium::routing
