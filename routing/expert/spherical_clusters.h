// SPDX-License-Identifier: Apache-2.0
// Spherical k-means: unit vectors grouped by direction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::routing {

struct SphericalClusters {
  base::AlignedMatrix centroids;          // C x d, unit rows, C >= 1
  std::vector<std::uint32_t> cluster_of;  // n: of largest cosine, ties to the first
};

// At most `cluster_count` clusters of `vectors` (n x d, unit rows, n >= 1), fewer where there are not so many
// different rows.
//
//   weights  n, >= 0, not all 0; how much a row draws a centroid, or becomes one at the start
//
// Source:  Dhillon and Modha 2001; the start is that of k-means++ (Arthur and Vassilvitskii 2007), where the
//          squared distance of unit vectors is twice 1 - cosine.
// Differs: at most 10 rounds; a cluster that loses all its rows stays where it was.
// The same on every run. Cost: O(n C d) a round, and once more for the start.
SphericalClusters ClusterDirections(base::MatrixView vectors, absl::Span<const float> weights,
                                    std::size_t cluster_count, std::uint64_t seed);

}  // namespace trivium::routing
