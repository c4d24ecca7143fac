// SPDX-License-Identifier: Apache-2.0
// Which cell a row belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/rows_view.h"

namespace trivium::routing {

// A cell never holds more rows than this many times the mean.
inline constexpr std::size_t kMostRowsOverMean = 4;
// Up to here a row is compared with every centroid; beyond, with those of the subtrees nearest to it.
inline constexpr int kDeepestExactCells = 12;

// Of rows by the nearest centroid. For the cosine metric centroids are unit vectors and the nearest has the
// largest cosine; otherwise the least squared distance, for inner products too: rows of a cell shall be
// alike.
class NearestCells {
 public:
  // Borrows `centroids`: 2^depth rows in the order of a tree's leaves, or any number of rows with depth 0,
  // when all are always compared.
  NearestCells(base::MatrixView centroids, int depth, base::Metric metric);

  // cell_of[i] and closeness[i] (larger is closer; comparable between rows) for the rows
  // first + i, i < count. Ties go to the smaller cell. The same for any number of threads.
  void Find(const index::RowsView& rows, std::size_t first, std::size_t count, int thread_count,
            std::uint32_t* cell_of, float* closeness) const;

  // out[i][j] = closeness of row chosen[i] to centroid j.
  void Closeness(const index::RowsView& rows, absl::Span<const std::uint32_t> chosen, int thread_count,
                 base::AlignedMatrix* out) const;

 private:
  struct Work;
  void FindExact(base::MatrixView block, Work* work, std::uint32_t* cell_of, float* closeness) const;
  void FindInGroups(base::MatrixView block, Work* work, std::uint32_t* cell_of, float* closeness) const;

  base::MatrixView centroids_;
  std::vector<float> biases_;  // added to the product: -|c|^2 / 2, or 0 for the cosine metric
  bool cosine_;
  base::AlignedMatrix groups_;  // means of subtrees; none: exact
  std::vector<float> group_biases_;
};

// The cell of every row; where there are at least as many rows as cells, no cell holds more than
// kMostRowsOverMean times the mean: it keeps its closest rows, the others go, in their order, to the nearest
// cell with room.
std::vector<std::uint32_t> AssignCells(const NearestCells& nearest, const index::RowsView& rows,
                                       std::size_t cell_count, int thread_count);

}  // namespace trivium::routing
