// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/spherical_clusters.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;
using testing_support::RandomUnitVector;

constexpr std::size_t kDimension = 19;

double SlowCosine(const float* a, const float* b) {
  double sum = 0;
  for (std::size_t c = 0; c < kDimension; ++c) sum += static_cast<double>(a[c]) * b[c];
  return sum;
}

TEST(ClusterDirections, FindsGroupsThatLieApart) {
  ClusteredQueries source(kDimension, 6, 0.3, 5);
  const PilotSet pilots = source.Pilots(240);
  const std::vector<float> weights(240, 1.0f);
  const SphericalClusters clusters = ClusterDirections(pilots.vectors(), weights, 6, 1);
  ASSERT_EQ(clusters.centroids.rows(), 6u);
  for (std::size_t i = 6; i < 240; ++i) EXPECT_EQ(clusters.cluster_of[i], clusters.cluster_of[i % 6]) << i;
  EXPECT_EQ(std::set<std::uint32_t>(clusters.cluster_of.begin(), clusters.cluster_of.end()).size(), 6u);
}

TEST(ClusterDirections, EveryRowIsInTheClusterNearestToIt) {
  base::Random random(3);
  base::AlignedMatrix rows(kDimension);
  std::vector<float> weights;
  for (int i = 0; i < 300; ++i) {
    rows.Append(RandomUnitVector(kDimension, &random).data());
    weights.push_back(static_cast<float>(random.Uniform()));
  }
  const SphericalClusters clusters = ClusterDirections(rows.view(), weights, 11, 4);
  for (std::size_t k = 0; k < 11; ++k) {
    EXPECT_NEAR(SlowCosine(clusters.centroids.row(k), clusters.centroids.row(k)), 1, 1e-5);
  }
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    const double own = SlowCosine(rows.row(i), clusters.centroids.row(clusters.cluster_of[i]));
    for (std::size_t k = 0; k < 11; ++k) {
      EXPECT_LE(SlowCosine(rows.row(i), clusters.centroids.row(k)), own + 1e-5) << i << " " << k;
    }
  }
}

// What k-means is for: no start by single rows is as near to them as its end.
TEST(ClusterDirections, IsNearerToTheRowsThanRowsAre) {
  ClusteredQueries source(kDimension, 5, 1.0, 8);
  const PilotSet pilots = source.Pilots(200);
  const std::vector<float> weights(200, 1.0f);
  const auto mean_cosine = [&](const auto& centroid_of) {
    double sum = 0;
    for (std::size_t i = 0; i < 200; ++i) sum += SlowCosine(pilots.vectors().row(i), centroid_of(i)) / 200;
    return sum;
  };
  const SphericalClusters clusters = ClusterDirections(pilots.vectors(), weights, 5, 1);
  const double reached =
      mean_cosine([&](std::size_t i) { return clusters.centroids.row(clusters.cluster_of[i]); });
  for (std::size_t first = 0; first < 50; ++first) {  // rows of the five true groups as centroids
    EXPECT_GT(reached,
              mean_cosine([&](std::size_t i) { return pilots.vectors().row(5 * (first % 40) + i % 5); }));
  }
}

TEST(ClusterDirections, RowsOfNoWeightDrawNothing) {
  ClusteredQueries source(kDimension, 2, 0.3, 5);
  const PilotSet pilots = source.Pilots(40);
  std::vector<float> weights(40);
  for (std::size_t i = 0; i < 40; ++i) weights[i] = i % 2 == 0 ? 1.0f : 0.0f;
  const SphericalClusters clusters = ClusterDirections(pilots.vectors(), weights, 1, 1);
  double heard = 0, unheard = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    (i % 2 == 0 ? heard : unheard) += SlowCosine(pilots.vectors().row(i), clusters.centroids.row(0)) / 20;
  }
  EXPECT_GT(heard, 0.9);
  EXPECT_LT(unheard, 0.8);
}

TEST(ClusterDirections, HasNoMoreClustersThanDifferentRows) {
  base::Random random(3);
  base::AlignedMatrix rows(kDimension);
  const std::vector<float> a = RandomUnitVector(kDimension, &random),
                           b = RandomUnitVector(kDimension, &random);
  for (int i = 0; i < 10; ++i) rows.Append(i % 2 == 0 ? a.data() : b.data());
  const SphericalClusters clusters = ClusterDirections(rows.view(), std::vector<float>(10, 1.0f), 8, 1);
  EXPECT_EQ(clusters.centroids.rows(), 2u);
  EXPECT_NE(clusters.cluster_of[0], clusters.cluster_of[1]);
}

TEST(ClusterDirections, IsTheSameForTheSameSeed) {
  ClusteredQueries source(kDimension, 4, 1.0, 5);
  const PilotSet pilots = source.Pilots(100);
  const std::vector<float> weights(100, 1.0f);
  const SphericalClusters a = ClusterDirections(pilots.vectors(), weights, 9, 7);
  const SphericalClusters b = ClusterDirections(pilots.vectors(), weights, 9, 7);
  EXPECT_EQ(a.cluster_of, b.cluster_of);
  EXPECT_NE(a.cluster_of, ClusterDirections(pilots.vectors(), weights, 9, 8).cluster_of);
}

}  // namespace
}  // namespace trivium::routing
