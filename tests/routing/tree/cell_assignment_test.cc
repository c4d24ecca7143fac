// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_assignment.h"

#include <vector>

#include "gtest/gtest.h"
#include "index/vector_rows.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;
using testing_support::ClusteredVectors;
using testing_support::SlowDistance;

constexpr Metric kMetrics[] = {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2};

std::uint32_t SlowNearest(base::MatrixView centroids, const float* row) {
  std::uint32_t nearest = 0;
  double least = SlowDistance(Metric::kSquaredL2, row, centroids.row(0), centroids.columns);
  for (std::size_t i = 1; i < centroids.rows; ++i) {
    const double distance = SlowDistance(Metric::kSquaredL2, row, centroids.row(i), centroids.columns);
    if (distance < least) {
      least = distance;
      nearest = static_cast<std::uint32_t>(i);
    }
  }
  return nearest;
}

TEST(NearestCells, AreThoseOfTheLeastSquaredDistanceInEverySpace) {
  for (const Metric metric : kMetrics) {
    for (const std::size_t cells : {1, 37, 600}) {
      const auto rows = ClusteredVectors(700, 19, metric, 1),
                 centroids = ClusteredVectors(cells, 19, metric, 2);
      std::vector<std::uint32_t> cell_of(rows.rows());
      std::vector<float> closeness(rows.rows());
      NearestCells(centroids.view(), 0, metric)
          .Find(rows.view(), 0, rows.rows(), 2, cell_of.data(), closeness.data());
      for (std::size_t i = 0; i < rows.rows(); ++i) {
        EXPECT_EQ(cell_of[i], SlowNearest(centroids.view(), rows.row(i))) << i;
      }
    }
  }
}

TEST(NearestCells, OfManyAreFoundByGroupsMostOfTheTime) {
  const int depth = kDeepestExactCells + 1;
  const auto rows = ClusteredVectors(1000, 16, Metric::kSquaredL2, 1, 64);
  // In the order of the clusters, so that subtrees hold near ones.
  const auto centroids = ClusteredVectors(std::size_t{1} << depth, 16, Metric::kSquaredL2, 2, 64);
  std::vector<std::uint32_t> cell_of(rows.rows());
  std::vector<float> closeness(rows.rows());
  NearestCells(centroids.view(), depth, Metric::kSquaredL2)
      .Find(rows.view(), 0, rows.rows(), 1, cell_of.data(), closeness.data());
  std::size_t same = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    ASSERT_LT(cell_of[i], centroids.rows());
    same += cell_of[i] == SlowNearest(centroids.view(), rows.row(i)) ? 1 : 0;
  }
  EXPECT_GT(same, rows.rows() * 4 / 5);
}

TEST(NearestCells, OfCompressedRowsAreThoseOfTheDecodedOnes) {
  const auto rows = ClusteredVectors(300, 24, Metric::kCosine, 1);
  const auto centroids = ClusteredVectors(40, 24, Metric::kCosine, 2);
  for (const index::RowFormat format : {index::RowFormat::kFloat16, index::RowFormat::kInt8}) {
    index::VectorRows stored(24, format, Metric::kCosine);
    ASSERT_OK(stored.Append(rows.view()));
    std::vector<std::uint32_t> cell_of(rows.rows() - 10);
    std::vector<float> closeness(rows.rows() - 10), decoded(24);
    NearestCells(centroids.view(), 0, Metric::kCosine)
        .Find(stored.view(), 10, cell_of.size(), 1, cell_of.data(), closeness.data());
    for (std::size_t i = 0; i < cell_of.size(); ++i) {
      stored.view().CopyRow(10 + i, decoded.data());
      EXPECT_EQ(cell_of[i], SlowNearest(centroids.view(), decoded.data())) << i;
    }
  }
}

TEST(AssignCells, NoCellHoldsMoreThanFourTimesTheMean) {
  // All rows near one centroid of 64: 1,000 of them have room for 62 each.
  auto rows = ClusteredVectors(1000, 8, Metric::kSquaredL2, 1, 1);
  const auto centroids = ClusteredVectors(64, 8, Metric::kSquaredL2, 2, 64);
  const NearestCells nearest(centroids.view(), 0, Metric::kSquaredL2);
  const auto cell_of = AssignCells(nearest, rows.view(), 64, 1);
  std::vector<std::size_t> sizes(64, 0);
  for (std::uint32_t cell : cell_of) ++sizes[cell];
  for (std::size_t size : sizes) EXPECT_LE(size, 62u);
  EXPECT_EQ(cell_of, AssignCells(nearest, rows.view(), 64, 3));
}

TEST(AssignCells, AFullCellKeepsItsClosestRows) {
  // On a line, centroids at 0 and 10 and far away: 12 rows, at most 4 * 12 / 16 = 3 a cell.
  base::AlignedMatrix centroids(16, 1), rows(12, 1);
  for (std::size_t i = 0; i < 16; ++i) centroids.row(i)[0] = 100.0f * static_cast<float>(i);
  for (std::size_t i = 0; i < 12; ++i) rows.row(i)[0] = static_cast<float>(12 - i);
  base::AlignedMatrix more(16, 1);
  for (std::size_t i = 0; i < 16; ++i) more.row(i)[0] = static_cast<float>(16 - i);
  const NearestCells nearest(centroids.view(), 0, Metric::kSquaredL2);
  const auto cell_of = AssignCells(nearest, more.view(), 16, 1);  // 4 a cell
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(cell_of[i] == 0, i >= 12) << i;
  // Fewer rows than cells are not dealt evenly.
  for (std::uint32_t cell : AssignCells(nearest, rows.view(), 16, 1)) EXPECT_EQ(cell, 0u);
}

}  // namespace
}  // namespace trivium::routing
