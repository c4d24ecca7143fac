// SPDX-License-Identifier: Apache-2.0
// A tree that nobody taught: every node halves what reaches it.
#pragma once

#include <cstdint>

#include "base/matrix_view.h"
#include "routing/tree/split_tree.h"

namespace trivium::routing {

// Splits each node's rows at the median of their longest direction, level by level, so that every leaf gets
// as many. <w, x> + b has mean 0 and, over the node's rows, variance about 1: logits of steepness 1. Nodes
// that fewer than four rows reach get a random direction.
//
//   rows  n x d, n >= 1
//
// The longest direction is found by power iteration (Golub and Van Loan 2013, 8.2.1), three rounds: it need
// not be exact. Cost: O(n d) a level and round. The same on every run with the same seed.
SplitTree HalvingTree(base::MatrixView rows, std::size_t depth, std::uint64_t seed);

// The same tree with MLP splits: 2 d features, x and -x cut off at 0, whose difference is x.
SplitTree WithHiddenLayer(const SplitTree& linear);

}  // namespace trivium::routing
