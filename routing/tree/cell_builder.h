// SPDX-License-Identifier: Apache-2.0
// Cells of documents: k-means, every cell used and none overfull, in the order of a binary tree's leaves.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"

namespace trivium::routing {

struct CellBuildOptions {
  int depth = 10;                // 1 to kDeepestCells
  int rounds = 10;               // of k-means
  std::size_t rows_a_cell = 64;  // at most so many documents, drawn at random, move the centroids
  std::uint64_t seed = 0;
  int thread_count = 1;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread
  const std::atomic<bool>* cancelled = nullptr;
};

struct BuiltCells {
  base::AlignedMatrix centroids;       // 2^depth x dimension; unit vectors for the cosine metric
  std::vector<std::uint32_t> cell_of;  // of each document: what AssignCells gives with these centroids, but
                                       // for documents that fill cells which would be empty
};

// Lloyd's k-means from random documents, for the cosine metric on the sphere; an empty cell takes half of
// the largest. Beyond 2^kDeepestExactCells cells: k-means of the documents of each of about sqrt(cells)
// k-means cells, which get cells in proportion to their documents.
//
// kInvalidArgument: fewer documents than cells, or options. kCancelled. The same for any number of threads.
// Cost: 2 x (rounds x sampled documents + 2 x documents) x cells x dimension operations, up to
// 2^kDeepestExactCells cells: 160,955 x 384 into 1,024 cells 15 s on two threads of a busy machine.
absl::StatusOr<BuiltCells> BuildCells(base::MatrixView documents, base::Metric metric,
                                      const CellBuildOptions& options);

}  // namespace trivium::routing
