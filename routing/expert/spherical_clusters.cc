// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/spherical_clusters.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr int kRounds = 10;
constexpr double kSameDirection = 1e-6;  // 1 - cosine of rows that differ by rounding only

// An index drawn with probability ~ `shares`; shares.size() where they are all 0.
std::size_t Draw(const std::vector<double>& shares, base::Random* random) {
  double sum = 0;
  for (double share : shares) sum += share;
  double left = random->Uniform() * sum;
  std::size_t last = shares.size();
  for (std::size_t i = 0; i < shares.size(); ++i) {
    if (!(shares[i] > 0)) continue;
    last = i;
    left -= shares[i];
    if (left < 0) break;
  }
  return last;
}

base::AlignedMatrix StartingCentroids(base::MatrixView vectors, absl::Span<const float> weights,
                                      std::size_t cluster_count, std::uint64_t seed) {
  base::Random random(seed);
  base::AlignedMatrix centroids(vectors.columns);
  centroids.Reserve(std::min(cluster_count, vectors.rows));
  std::vector<double> distance(vectors.rows, 1.0), shares(weights.begin(), weights.end());
  std::vector<float> cosines(vectors.rows);
  while (centroids.rows() < cluster_count) {
    const std::size_t chosen = Draw(shares, &random);
    if (chosen == vectors.rows) break;  // every row is a centroid already
    centroids.Append(vectors.row(chosen));
    kernels::ActiveDistances().inner_product_f32_rows(vectors.row(chosen), vectors.data, vectors.stride,
                                                      vectors.rows, vectors.columns, cosines.data());
    const bool first = centroids.rows() == 1;
    for (std::size_t i = 0; i < vectors.rows; ++i) {
      const double gap = 1.0 - cosines[i];
      distance[i] = first ? gap : std::min(distance[i], gap);
      shares[i] = distance[i] > kSameDirection ? weights[i] * distance[i] : 0.0;
    }
  }
  return centroids;
}

// Fills `cluster_of`; whether anything changed.
bool Assign(base::MatrixView vectors, base::MatrixView centroids, std::vector<std::uint32_t>* cluster_of) {
  std::vector<float> cosines(centroids.rows);
  bool changed = false;
  for (std::size_t i = 0; i < vectors.rows; ++i) {
    kernels::ActiveDistances().inner_product_f32_rows(vectors.row(i), centroids.data, centroids.stride,
                                                      centroids.rows, centroids.columns, cosines.data());
    const auto nearest =
        static_cast<std::uint32_t>(std::max_element(cosines.begin(), cosines.end()) - cosines.begin());
    changed = changed || nearest != (*cluster_of)[i];
    (*cluster_of)[i] = nearest;
  }
  return changed;
}

void MoveCentroids(base::MatrixView vectors, absl::Span<const float> weights,
                   const std::vector<std::uint32_t>& cluster_of, base::AlignedMatrix* centroids) {
  std::vector<double> sums(centroids->rows() * vectors.columns, 0.0);
  for (std::size_t i = 0; i < vectors.rows; ++i) {
    double* sum = &sums[cluster_of[i] * vectors.columns];
    for (std::size_t c = 0; c < vectors.columns; ++c) sum[c] += double{weights[i]} * vectors.row(i)[c];
  }
  for (std::size_t k = 0; k < centroids->rows(); ++k) {
    const double* sum = &sums[k * vectors.columns];
    double squared_length = 0;
    for (std::size_t c = 0; c < vectors.columns; ++c) squared_length += sum[c] * sum[c];
    if (!(squared_length > 0)) continue;
    const double scale = 1.0 / std::sqrt(squared_length);
    for (std::size_t c = 0; c < vectors.columns; ++c)
      centroids->row(k)[c] = static_cast<float>(sum[c] * scale);
  }
}

}  // namespace

SphericalClusters ClusterDirections(base::MatrixView vectors, absl::Span<const float> weights,
                                    std::size_t cluster_count, std::uint64_t seed) {
  SphericalClusters clusters;
  clusters.centroids = StartingCentroids(vectors, weights, cluster_count, seed);
  clusters.cluster_of.assign(vectors.rows, 0);
  Assign(vectors, clusters.centroids.view(), &clusters.cluster_of);
  for (int round = 0; round < kRounds; ++round) {
    MoveCentroids(vectors, weights, clusters.cluster_of, &clusters.centroids);
    if (!Assign(vectors, clusters.centroids.view(), &clusters.cluster_of)) break;
  }
  return clusters;
}

}  // namespace trivium::routing
