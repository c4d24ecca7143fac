// SPDX-License-Identifier: Apache-2.0
// Builds cells, learns from queries in which order to visit them, and says whether that pays: on queries held
// out, and without harm to queries that are like the documents.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "routing/expert/answer_statistics.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

// With fewer the order of the centroids stays: nothing could be shown on a part held out.
inline constexpr std::size_t kFewestCellQueries = 100;
// A map of more cells is not learned cell by cell but handed down from nodes above them.
inline constexpr std::size_t kMostMappedCells = 8192;

struct CellTrainingData {
  base::MatrixView documents;  // n x d, finite; unit vectors for the cosine metric. n >= 2^depth
  base::Metric metric = base::Metric::kCosine;
  base::MatrixView queries;  // n x d or no rows: then the router stays kCentroids
};

struct CellTrainingOptions {
  int depth = 10;  // 1 to kDeepestCells; CellDepthFor() proposes one
  std::uint64_t seed = 0;
  int thread_count = 1;
  bool learn_map = true;          // up to kMostMappedCells cells; implied by levels
  bool learn_levels = true;       // from depth 6 on
  bool learn_tree = false;        // linear splits: they read more rows than levels, in all that was measured
  double validation_share = 0.2;  // of the queries, at most 1,000, held out for the gate and the probes
  // Of the stages "cells", "answers", "map", "levels", "tree" and "gate", in this order; on the calling
  // thread.
  std::function<void(std::string_view stage, std::size_t done, std::size_t total)> progress;
  const std::atomic<bool>* cancelled = nullptr;

  absl::Status Validate() const;
};

// About sqrt(4 x rows) cells.
int CellDepthFor(std::size_t rows);

// What a router costs to reach recall 0.95 at 10.
struct CellRouterCost {
  bool measured = false;
  bool reached = false;     // that recall, by as many cells as a beam is asked for
  double scanned = 1;       // rows read, as a share of all: the mean over the queries held out
  double products = 0;      // inner products to route one query
  double rows_scanned = 1;  // as `scanned`, for documents as queries
  // Rows read plus products over those of kCentroids, on the queries and on the documents.
  double ratio = 1, rows_ratio = 1;
  Interval interval, rows_interval;  // 95 %, bootstrap over queries
};

struct CellTrainingReport {
  std::size_t cells = 0, used_cells = 0, largest_cell = 0;
  double mean_cell = 0;
  std::size_t training_queries = 0;    // without near-identical twins (cosine 0.95) of one held out
  std::size_t training_documents = 0;  // that were asked as queries beside them
  std::size_t validation_queries = 0;
  std::array<CellRouterCost, kCellRouterKinds> costs;  // by CellRouterKind
  CellRouterKind router = CellRouterKind::kCentroids;  // what the gate decided on
  bool accepted = false;                               // whether that is a learned one
  std::string reason;                                  // one line
  double seconds = 0;
};

struct TrainedCells {
  std::shared_ptr<const CellModel> model;
  CellTrainingReport report;
};

// The gate accepts a learned router where rows read plus products are fewer on the queries held out, by the
// whole of their interval, and on documents not more than 1 % more, or not surely more. A router that is
// rejected stays in the model and can be asked for.
//
// kInvalidArgument: options, shapes, fewer documents than cells. kCancelled.
// The cells are the same for any number of threads; what is learned for equal numbers of threads up to
// rounding. Memory: two copies of what is learned, 200 bytes a query, and a 16th of the documents.
// Cost: 160,955 x 384 into 1,024 cells with 17,544 queries, tree included, takes 135 s of processor time.
absl::StatusOr<TrainedCells> TrainCells(const CellTrainingData& data, const CellTrainingOptions& options);

}  // namespace trivium::routing
