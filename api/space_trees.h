// SPDX-License-Identifier: Apache-2.0
// The trees of a space, and what they say of rows.
#pragma once

#include <memory>

#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_model.h"
#include "routing/tree/leaf_table.h"
#include "routing/tree/split_tree.h"

namespace trivium {

// Null: there is none.
struct SpaceTrees {
  std::shared_ptr<const routing::SplitTree> tree;
  std::shared_ptr<const routing::CellModel> cells;
  routing::CellRouterKind router = routing::CellRouterKind::kCentroids;  // in use, of `cells`
};

// Of the rows of one part of a vector set, all of them.
struct PartTrees {
  std::shared_ptr<const routing::LeafTable> leaves;  // null without a tree
  std::shared_ptr<const routing::CellLists> cells;   // null without cells, and of rows that are not sealed
};

}  // namespace trivium
