// SPDX-License-Identifier: Apache-2.0
// The moments of a vector set by groups of alike vectors, which say far more of it than those of the whole.
//
// Measured on 17 collections, 100 train queries of each at most: the collection of the query is the one that
// `moments` ranks first for 0.69 of them with one group a set, 0.77 with 4, 0.81 with 16, 0.80 with 32
// (prototype, depth 1, mean over collections).
#pragma once

#include <cstddef>
#include <vector>

#include "base/matrix_view.h"
#include "routing/expert/expert_facts.h"

namespace trivium::routing {

// At most `group_count` groups by direction of a set of `count` vectors, of which `sample` (n x d, n >= 1)
// are some; fewer where the sample has not so many different rows. Their counts sum to `count`. The variance
// of a group of few rows is drawn towards that of the whole sample.
// Cost: that of ClusterDirections.
std::vector<VectorMoments> GroupedMoments(base::MatrixView sample, double count, std::size_t group_count);

}  // namespace trivium::routing
