// SPDX-License-Identifier: Apache-2.0
// Vectors of several sets, grouped by the nodes of a partition tree (routing/tree/cell_model.h).
//
// Cells are the leaves of a perfect binary tree from left to right, and node i of the level `climbed` above
// them has the cells c with c >> climbed == i.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "routing/expert/expert_facts.h"

namespace trivium::routing {

// The fewest levels to climb, so that all sets have at most `most` groups together; as many as there are
// levels where even one group a set is too many.
//
//   cells  of each set, the cells of its vectors in any order, below 2^depth
int LevelsToClimb(std::vector<std::vector<std::uint32_t>> cells, int depth, std::size_t most);

// Appends the groups of one set, by node.
//
//   rows   n x d, n >= 1: its vectors, or a sample of them
//   nodes  n
void AddCellGroups(base::MatrixView rows, absl::Span<const std::uint32_t> nodes, CellGroups* groups);

}  // namespace trivium::routing
