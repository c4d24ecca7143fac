// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_regions.h"

#include <algorithm>
#include <numeric>

#include "kernels/distance_table.h"
#include "routing/expert/spherical_clusters.h"

namespace trivium::routing {
namespace {

constexpr std::uint32_t kNoRegion = 0xFFFFFFFF;

base::AlignedMatrix Centres(base::MatrixView directions, std::size_t region_count, std::uint64_t seed) {
  std::vector<float> weights(directions.rows);
  for (std::size_t i = 0; i < directions.rows; ++i) {
    const float* row = directions.row(i);
    weights[i] = std::any_of(row, row + directions.columns, [](float x) { return x != 0; }) ? 1.0f : 0.0f;
  }
  if (std::all_of(weights.begin(), weights.end(), [](float weight) { return weight == 0; })) {
    return base::AlignedMatrix(1, directions.columns);
  }
  return ClusterDirections(directions, weights, region_count, seed).centroids;
}

// Without the numbers that nobody has.
void CloseGaps(std::size_t region_count, std::vector<std::uint32_t>* region_of) {
  std::vector<std::uint32_t> renamed(region_count, kNoRegion);
  for (const std::uint32_t region : *region_of) renamed[region] = 0;
  std::uint32_t used = 0;
  for (std::uint32_t& name : renamed) name = name == kNoRegion ? name : used++;
  for (std::uint32_t& region : *region_of) region = renamed[region];
}

}  // namespace

std::vector<std::uint32_t> GroupIntoRegions(base::MatrixView directions, std::size_t region_count,
                                            std::size_t largest, std::uint64_t seed) {
  const std::size_t count = directions.rows;
  // A region without a centre is as far from every row, and so the last to be filled.
  base::AlignedMatrix centres = Centres(directions, region_count, seed);
  const std::size_t centre_count = centres.rows();
  std::vector<float> cosines(count * region_count, -2.0f), nearest(count);
  for (std::size_t i = 0; i < count; ++i) {
    float* row = &cosines[i * region_count];
    const base::MatrixView rows = centres.view();
    kernels::ActiveDistances().inner_product_f32_rows(directions.row(i), rows.data, rows.stride, centre_count,
                                                      rows.columns, row);
    nearest[i] = *std::max_element(row, row + centre_count);
  }
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return nearest[a] > nearest[b]; });
  std::vector<std::uint32_t> region_of(count);
  std::vector<std::size_t> sizes(region_count, 0);
  for (const std::size_t i : order) {
    const float* row = &cosines[i * region_count];
    std::uint32_t best = kNoRegion;
    for (std::uint32_t region = 0; region < region_count; ++region) {
      if (sizes[region] < largest && (best == kNoRegion || row[region] > row[best])) best = region;
    }
    region_of[i] = best;
    ++sizes[best];
  }
  CloseGaps(region_count, &region_of);
  return region_of;
}

}  // namespace trivium::routing
