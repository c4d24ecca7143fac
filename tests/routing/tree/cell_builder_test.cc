// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_builder.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/tree/cell_assignment.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;
using testing_support::ClusteredVectors;

std::vector<std::size_t> Sizes(const BuiltCells& built) {
  std::vector<std::size_t> sizes(built.centroids.rows(), 0);
  for (std::uint32_t cell : built.cell_of) ++sizes[cell];
  return sizes;
}

double MeanSquare(const BuiltCells& built, const base::AlignedMatrix& rows) {
  double sum = 0;
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    sum += testing_support::SlowDistance(Metric::kSquaredL2, rows.row(i),
                                         built.centroids.row(built.cell_of[i]), rows.columns());
  }
  return sum / static_cast<double>(rows.rows());
}

TEST(BuildCells, UsesEveryCellAndFillsNone) {
  for (const Metric metric : {Metric::kCosine, Metric::kInnerProduct, Metric::kSquaredL2}) {
    const auto rows = ClusteredVectors(2000, 16, metric, 1);
    for (const int depth : {1, 5, 9}) {
      CellBuildOptions options;
      options.depth = depth;
      const auto built = BuildCells(rows.view(), metric, options);
      ASSERT_OK(built);
      const auto sizes = Sizes(*built);
      ASSERT_EQ(sizes.size(), std::size_t{1} << depth);
      EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 1u);
      EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), 4 * rows.rows() >> depth);
    }
  }
}

TEST(BuildCells, FindsTheClusters) {
  const auto rows = ClusteredVectors(1600, 24, Metric::kCosine, 1, 16);
  CellBuildOptions options;
  options.depth = 6;
  const auto built = BuildCells(rows.view(), Metric::kCosine, options);
  ASSERT_OK(built);
  // Rows of a cell are of one cluster, but for a few.
  std::vector<std::vector<std::size_t>> clusters(64, std::vector<std::size_t>(16, 0));
  for (std::size_t i = 0; i < rows.rows(); ++i) ++clusters[built->cell_of[i]][i / 100];
  std::size_t main_rows = 0;
  for (const auto& counts : clusters) main_rows += *std::max_element(counts.begin(), counts.end());
  EXPECT_GT(main_rows, 1500u);
}

TEST(BuildCells, IsTheSameForAnyNumberOfThreads) {
  const auto rows = ClusteredVectors(1000, 16, Metric::kCosine, 1);
  CellBuildOptions one, three;
  one.depth = three.depth = 6;
  three.thread_count = 3;
  const auto a = BuildCells(rows.view(), Metric::kCosine, one);
  const auto b = BuildCells(rows.view(), Metric::kCosine, three);
  ASSERT_OK(a);
  ASSERT_OK(b);
  EXPECT_EQ(a->cell_of, b->cell_of);
  for (std::size_t i = 0; i < 64; ++i) {
    EXPECT_TRUE(std::equal(a->centroids.row(i), a->centroids.row(i) + 16, b->centroids.row(i)));
  }
  one.seed = 1;
  EXPECT_NE(BuildCells(rows.view(), Metric::kCosine, one)->cell_of, a->cell_of);
}

TEST(BuildCells, ManyCellsAreBuiltInTwoStepsAndHardlyWorse) {
  const auto rows = ClusteredVectors(20000, 8, Metric::kSquaredL2, 1, 100);
  CellBuildOptions options;
  options.depth = kDeepestExactCells + 1;
  options.thread_count = 2;
  const auto built = BuildCells(rows.view(), Metric::kSquaredL2, options);
  ASSERT_OK(built);
  const auto sizes = Sizes(*built);
  EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 1u);
  EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), 9u);
  options.depth = kDeepestExactCells;
  const auto half = BuildCells(rows.view(), Metric::kSquaredL2, options);
  ASSERT_OK(half);
  EXPECT_LT(MeanSquare(*built, rows), MeanSquare(*half, rows));
}

TEST(BuildCells, EqualDocumentsAreSharedOut) {
  base::AlignedMatrix rows(256, 4);
  for (std::size_t i = 0; i < 256; ++i) rows.row(i)[0] = 1;
  CellBuildOptions options;
  options.depth = 5;
  const auto built = BuildCells(rows.view(), Metric::kCosine, options);
  ASSERT_OK(built);
  const auto sizes = Sizes(*built);
  EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 1u);
  EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), 32u);
}

TEST(BuildCells, OneDocumentACellIsEnoughAndFewerAreRefused) {
  const auto rows = ClusteredVectors(32, 4, Metric::kCosine, 1);
  CellBuildOptions options;
  options.depth = 5;
  const auto built = BuildCells(rows.view(), Metric::kCosine, options);
  ASSERT_OK(built);
  for (std::size_t size : Sizes(*built)) EXPECT_EQ(size, 1u);
  EXPECT_THAT(BuildCells(rows.view().First(31), Metric::kCosine, options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("documents: 31")));
  for (const int depth : {0, 17}) {
    options.depth = depth;
    EXPECT_THAT(BuildCells(rows.view(), Metric::kCosine, options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("depth")));
  }
}

TEST(BuildCells, CanBeCancelled) {
  const auto rows = ClusteredVectors(500, 8, Metric::kCosine, 1);
  std::atomic<bool> cancelled{false};
  CellBuildOptions options;
  options.depth = 4;
  options.cancelled = &cancelled;
  options.progress = [&](std::size_t done, std::size_t total) {
    EXPECT_LE(done, total);
    cancelled = done == 2;
  };
  EXPECT_THAT(BuildCells(rows.view(), Metric::kCosine, options).status(),
              StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace trivium::routing
