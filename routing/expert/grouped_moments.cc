// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/grouped_moments.h"

#include <cmath>
#include <cstdint>

#include "base/aligned_matrix.h"
#include "routing/expert/spherical_clusters.h"

namespace trivium::routing {
namespace {

constexpr std::uint64_t kSeed = 1;  // of the groups; what is learned depends on it little
constexpr float kDoubt = 5;         // rows of the whole that count for the variance of a group

base::AlignedMatrix UnitRows(base::MatrixView rows) {
  base::AlignedMatrix unit(rows.rows, rows.columns);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    double squared_norm = 0;
    for (std::size_t c = 0; c < rows.columns; ++c) squared_norm += double{rows.row(i)[c]} * rows.row(i)[c];
    if (!(squared_norm > 0)) continue;  // no direction: alike to every group
    const double scale = 1.0 / std::sqrt(squared_norm);
    for (std::size_t c = 0; c < rows.columns; ++c)
      unit.row(i)[c] = static_cast<float>(rows.row(i)[c] * scale);
  }
  return unit;
}

}  // namespace

std::vector<VectorMoments> GroupedMoments(base::MatrixView sample, double count, std::size_t group_count) {
  const base::AlignedMatrix unit = UnitRows(sample);
  const SphericalClusters clusters =
      ClusterDirections(unit.view(), std::vector<float>(sample.rows, 1.0f), group_count, kSeed);
  MomentSums whole(sample.columns);
  std::vector<MomentSums> sums(clusters.centroids.rows(), MomentSums(sample.columns));
  std::vector<float> rows(sums.size(), 0.0f);
  for (std::size_t i = 0; i < sample.rows; ++i) {
    whole.Add(sample.row(i));
    sums[clusters.cluster_of[i]].Add(sample.row(i));
    ++rows[clusters.cluster_of[i]];
  }
  const std::vector<float> variance = whole.Finish(count).variance;
  const double each = count / static_cast<double>(sample.rows);
  std::vector<VectorMoments> groups;
  for (std::size_t g = 0; g < sums.size(); ++g) {
    if (rows[g] == 0) continue;
    groups.push_back(sums[g].Finish(each * rows[g]));
    for (std::size_t c = 0; c < sample.columns; ++c) {
      float& own = groups.back().variance[c];
      own = (rows[g] * own + kDoubt * variance[c]) / (rows[g] + kDoubt);
    }
  }
  return groups;
}

}  // namespace trivium::routing
