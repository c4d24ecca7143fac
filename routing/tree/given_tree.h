// SPDX-License-Identifier: Apache-2.0
// A tree for distributions over leaves that were made elsewhere: what is left to choose is how finely a byte
// counts their masses.
#pragma once

#include <cstddef>

#include "base/matrix_view.h"
#include "routing/tree/split_tree.h"

namespace trivium::routing {

struct GivenTree {
  SplitTree tree;
  // Of the ten rows that share most with a row, by exact masses at the leaves, how many its ten by bytes
  // equal or beat: mean over rows looked at, 0 to 1.
  double kept = 1;
};

// `rows`: a sample of the distributions, n x 2^depth, n >= 1; 2,000 say enough. The unit of masses is 2^-j /
// 255, j in [0, depth]: large for sharp distributions, of which nothing may be cut, small for those that
// spread, of which nothing may be dropped. Chosen where ranking by bytes agrees best with ranking by exact
// masses, at most 0.01 below the best where that loses less mass. Deterministic, up to rounding with any
// number of threads. Cost: 64 x 2,000 x 2^depth x (depth + 2) comparisons of masses.
GivenTree MakeGivenTree(std::size_t depth, base::MatrixView rows, int thread_count);

}  // namespace trivium::routing
