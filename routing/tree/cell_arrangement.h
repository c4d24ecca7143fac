// SPDX-License-Identifier: Apache-2.0
// Puts centroids into the order of the leaves of a perfect binary tree in which near ones share ancestors.
#pragma once

#include <cstdint>
#include <vector>

#include "base/matrix_view.h"

namespace trivium::routing {

// order[leaf] is the row of `centroids`, of which there are 2^depth, at that leaf. Every node halves its
// centroids: two means are moved a few times, each half taking those nearer to its own than to the other.
//
// The same for any number of threads. Cost: O(rows x dimension x depth) times at most kHalvingRounds.
std::vector<std::uint32_t> ArrangeAsLeaves(base::MatrixView centroids, int thread_count);

inline constexpr int kHalvingRounds = 8;

}  // namespace trivium::routing
