// SPDX-License-Identifier: Apache-2.0
// Looking at graphs: what training is still worth, and where the walk for one query goes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trivium/export.h"

namespace trivium {

struct GraphDriftOptions {
  double recall = 0.95;                          // at which hops are compared, more than 0, at most 1
  std::size_t vertices = 10;                     // listed as helpful and as harmful, each; at most 1,000
  std::uint64_t seed = 0;                        // of the bootstrap
  int threads = 0;                               // 0: all processors this process may use
  const std::atomic<bool>* cancelled = nullptr;  // kCancelled
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// How often walks of the canary queries came by a row.
struct RowUse {
  std::uint64_t label = 0;     // of a store: a document's number, see the `ids` beside it
  std::uint64_t expanded = 0;  // walks that expanded it
  std::uint64_t led = 0;       // walks in which it was a result or on the way to one
};

// What training a graph is worth now, on canary queries: those that were held out when it was trained, or
// others. Hops are vertices expanded a query, at equal recall, in the graph as it is and in the same graph
// with what was learned undone.
struct GraphDriftReport {
  std::uint64_t queries = 0;
  std::uint64_t rows_then = 0, rows = 0;  // when it was trained (0: not known) and now
  double edges_kept = 1;                  // share of the learned edges that are still there
  double hops_untaught = 0, hops = 0;
  double hop_ratio = 1, hop_ratio_low = 1, hop_ratio_high = 1;  // 95 %, bootstrap over the queries
  double hop_ratio_then = 1;  // when it was trained, on the queries held out
  bool train_again = false;
  std::string reason;           // why, or why not, in words
  std::vector<RowUse> helpful;  // led somewhere most often
  std::vector<RowUse> harmful;  // expanded in vain most often
};

// One vertex that a walk expanded.
struct WalkStep {
  std::uint64_t label = 0;
  double score = 0;          // as of a hit: larger is better
  std::int64_t origin = -1;  // the earlier step whose edge first led here; -1: the walk began here
  bool learned = false;      // whether that edge, or this starting point, was learned
  bool led = false;          // it is a result or on the way to one
};

struct GraphWalk {
  std::vector<WalkStep> steps;              // in the order in which they were expanded
  std::vector<std::uint64_t> found;         // labels of the results, best first
  double recall = 0;                        // share of the true k nearest rows among them
  std::uint64_t distance_computations = 0;  // estimates from codes included
};

struct WalkOptions {
  std::size_t k = 10;          // 1 to 1,000
  std::size_t beam_width = 0;  // 0: what searches use
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// The walk for one query over the graph as it is and, where it was trained, with what was learned undone.
struct WalkTrace {
  GraphWalk walk;
  std::optional<GraphWalk> untaught;
};

}  // namespace trivium
