// SPDX-License-Identifier: Apache-2.0
// Teaching a graph where to look from queries that resemble those to come; no judgements are needed.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "trivium/export.h"
#include "trivium/types.h"

namespace trivium {

struct GraphTrainingOptions {
  bool entries = true;       // learn where walks start (profile kSpeed)
  bool edges = true;         // learn edges to what walks miss
  bool codes = true;         // learn what the codes of edges are exact for (profile kSpeed)
  bool fine_tune = false;    // ask the queries that taught the graph before again, with the new ones
  double recall = 0.95;      // at which hops are compared, more than 0, at most 1
  std::uint64_t seed = 0;    // of what is held out
  int threads = 0;           // 0: all processors this process may use; results do not depend on it
  bool ignore_gate = false;  // use what was learned even where it does not pay
  // A file that is written after the answers and each round of edges, from which the same training of the
  // same vectors goes on after it was stopped, to the same end; of several graphs each has one, ".2", ".3"
  // ... behind the name. Removed when training ends. Empty: none.
  std::string checkpoint;
  ProgressCallback
      progress;  // stages "measure", "answers", "entries", "edges", "codes" and "gate", of each graph
  const std::atomic<bool>* cancelled = nullptr;  // kCancelled, and nothing is changed
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// Hops are vertices expanded a query, at equal recall; ratios are trained over untrained, intervals 95 %,
// bootstrap.
struct GraphTrainingReport {
  std::uint64_t training_queries = 0;    // without near-identical twins of one held out
  std::uint64_t validation_queries = 0;  // held out
  bool generated = false;                // whether the queries were made from the documents
  std::uint64_t entries = 0;             // starting points learned
  std::uint64_t edges_added = 0;         // those that took the place of another included
  std::uint64_t edges_replaced = 0;
  bool codes = false;                      // whether codes of edges were learned
  double hops_before = 0, hops_after = 0;  // on the queries held out
  double hop_ratio = 1, hop_ratio_low = 1, hop_ratio_high = 1;
  std::vector<double> round_hop_ratios;  // after each round of edges; the best round was kept
  double row_hop_ratio = 1;  // where rows of the index are asked: what is like the rows must not pay
  // Trained over as it was trained before; NaN where it was not.
  double former_hop_ratio = std::numeric_limits<double>::quiet_NaN();
  bool enabled = false;  // whether the gate let it become the graph that is searched
  std::string reason;    // of the gate, in words
  double seconds = 0;
};

}  // namespace trivium
