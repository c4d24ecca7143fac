// SPDX-License-Identifier: Apache-2.0
// Learns the linear splits of a binary tree whose leaves are cells: at each node, on which side a query's
// nearest documents lie.
#pragma once

#include <span>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_map_learner.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

// Splits that separate the means of the centroids to the left and to the right of each node: 2^depth - 1
// rows.
LinearScores SplitsOfCentroids(base::MatrixView centroids);

// Adds to `gradient`, of the shape of `weights` (2^depth - 1 rows, columns of `queries`), that of the mean
// over the queries `chosen` of -sum over cells of share times the logarithm of the probability of the cell's
// path; returns it. A node's probability of its right child is the logistic function of its product.
double AddTreeGradient(const base::AlignedMatrix& weights, int depth, base::MatrixView queries,
                       const CellTargets& targets, std::span<const std::uint32_t> chosen,
                       base::AlignedMatrix* gradient);

// Starts at SplitsOfCentroids and stops where the loss on `held_out` no longer falls; the best epoch is kept.
// Only nodes above a cell that holds an answer have a gradient, so a step costs O(batch x answers x depth)
// and not O(cells). kCancelled. The same for any number of threads.
//
// Source:  the hierarchical softmax of Morin and Bengio 2005, on the tree of the cells.
// Differs: shares instead of one class; Adam keeps moments and counts steps for each node by itself, as many
//          nodes are seldom visited.
absl::StatusOr<LinearScores> LearnCellTree(base::MatrixView centroids, int depth, const CellTargets& training,
                                           const CellTargets& held_out, const CellLearningOptions& options);

}  // namespace trivium::routing
