// SPDX-License-Identifier: Apache-2.0
// Learns vectors of the nodes above the cells, so that a beam finds the cells that a map would put first
// without scoring all of them.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "routing/tree/cell_answers.h"
#include "routing/tree/cell_map_learner.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

// Means of the centroids under each node that is `below` levels above the cells, of unit length for the
// cosine metric.
base::AlignedMatrix NodeMeans(base::MatrixView centroids, int below, base::Metric metric);

// The shares of the nodes `below` levels above the cells.
CellTargets Coarser(const CellTargets& targets, int below);

struct LearnedLevels {
  std::vector<LinearScores> levels;  // as in CellParts
  LearnedMap leaves;                 // where there are more cells than `most_learned`, else empty
};

// Each level is learned as a map of its nodes, by itself. Levels of more than `most_learned` nodes start at
// their means and go the way that their ancestors on the finest level that is learned have gone.
//
// Source:  Zhu et al. 2018 (TDM): nodes of one level compete for the beam.
// Differs: levels are learned on all their nodes, not on sampled ones, and from all answers of a query; every
//          other level is left out, as scoring four grandchildren costs what two times two children cost.
// Cost:    a third of that of the map of the cells. kCancelled.
absl::StatusOr<LearnedLevels> LearnCellLevels(base::MatrixView centroids, int depth, base::Metric metric,
                                              std::size_t most_learned, const CellTargets& training,
                                              const CellTargets& held_out,
                                              const CellLearningOptions& options);

}  // namespace trivium::routing
