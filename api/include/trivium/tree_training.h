// SPDX-License-Identifier: Apache-2.0
// Teaching a space a tree from its own vectors, or from queries that resemble those to come; judgements help
// but are not needed. docs/tree.md tells what trees are for.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "trivium/export.h"
#include "trivium/types.h"

namespace trivium {

enum class TreeUse : std::uint8_t {
  kRepresentation,  // soft: what two vectors share of the tree's nodes stands for their similarity
  kPartition,       // hard: every document lies in one cell, and queries learn which cells to read first
};

// "representation", "partition".
TRIVIUM_EXPORT std::string_view TreeUseName(TreeUse use);
TRIVIUM_EXPORT absl::StatusOr<TreeUse> ParseTreeUse(std::string_view name);

struct TreeTrainingOptions {
  TreeUse use = TreeUse::kRepresentation;
  // Levels, so that there are 2^depth leaves: 1 to 12, of a partition 1 to 16. 0: 10, or less where there are
  // fewer than 4,096 documents, at least 4; of a partition about the square root of 4 x documents leaves.
  std::size_t depth = 0;
  bool mlp = false;          // representation only: MLP splits; else linear
  std::size_t steps = 6000;  // representation only: at most, 1 or more
  // Representation only, 0 or more: how much each document is urged to lie in few nodes, while all together
  // are kept in many. 0 is best for ranking, see "Sharpness" in docs/tree.md.
  double entropy_weight = 0;
  std::uint64_t seed = 0;
  int threads = 0;           // 0: all processors this process may use
  bool ignore_gate = false;  // keep what was learned even where it does not pay
  // A file from which the same training goes on after it was stopped; of several spaces each has one, ".2",
  // ".3" ... behind the name. Removed when training ends. Empty: none.
  std::string checkpoint;
  ProgressCallback progress;                     // the stages of each space, "leaves" last
  const std::atomic<bool>* cancelled = nullptr;  // kCancelled, and nothing is changed
  TRIVIUM_EXPORT absl::Status Validate() const;
};

// How well a level stands for the vectors.
struct TreeLevel {
  std::size_t level = 0;
  // Share of the ten documents nearest by vectors that are among the ten that share most with what was held
  // out.
  double overlap = 0;
  double untrained = 0;                  // likewise, of the tree that training began with
  double entropy = 0;                    // bits of a document's distribution over its nodes, mean
  std::uint64_t bytes_per_document = 0;  // a byte a node, at least 64
};

// What one way of choosing cells costs to find the ten nearest vectors with recall 0.95.
struct CellRouterReport {
  std::string router;                    // "centroids" (untrained), "map", "tree" or "levels"
  double scanned = 0;                    // vectors read, as a share of all, mean over the queries held out
  double products = 0;                   // inner products to choose the cells of a query
  double ratio = 1;                      // vectors read and products over those of "centroids"
  double ratio_low = 1, ratio_high = 1;  // 95 %, bootstrap
  double rows_ratio = 1;                 // likewise where documents are asked: what is like them must not pay
};

struct CellReport {
  std::uint64_t cells = 0, used_cells = 0;
  std::uint64_t largest_cell = 0;  // documents
  double mean_cell = 0;
  std::uint64_t validation_queries = 0;
  std::string router;  // the default from now on
  std::vector<CellRouterReport> routers;
};

}  // namespace trivium
