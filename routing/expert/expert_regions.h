// SPDX-License-Identifier: Apache-2.0
// Experts whose queries lie in the same direction, grouped into regions of bounded size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/matrix_view.h"

namespace trivium::routing {

// The region of each of the `directions` (n x d, unit rows; a row of zeros has none and goes where there is
// room). Regions are numbered from 0 without gaps, at most `region_count` (>= 1) of them, and none holds more
// than `largest`, which must be at least n / region_count.
//
// Centres are those of ClusterDirections. Then each row, those nearest to any centre first, joins the nearest
// one that has room; ties by index. The same on every run. Cost: that of ClusterDirections.
std::vector<std::uint32_t> GroupIntoRegions(base::MatrixView directions, std::size_t region_count,
                                            std::size_t largest, std::uint64_t seed);

}  // namespace trivium::routing
