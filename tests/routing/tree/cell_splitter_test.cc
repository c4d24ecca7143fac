// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_splitter.h"

#include <algorithm>
#include <utility>

#include "gtest/gtest.h"
#include "routing/tree/cell_level_learner.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;

constexpr int kDepth = 6;

class CellSplitterTest : public ::testing::TestWithParam<Metric> {
 protected:
  CellSplitterTest()
      : world_(1600, 16, kDepth, GetParam()),
        // As many rows again, all around one of the clusters.
        more_(testing_support::ClusteredVectors(1600 * 20, 16, GetParam(), 7)) {
    CellParts parts = world_.Parts(kDepth);
    // A map and levels that order as centroids do.
    parts.map = Steep(world_.built.centroids);
    for (std::size_t i = 0; i < parts.levels.size(); ++i) {
      const int below = 2 * static_cast<int>(parts.levels.size() - i);
      parts.levels[i] = Steep(NodeMeans(world_.built.centroids.view(), below, GetParam()));
    }
    parts.centroid_weight = 0;
    model_ = *CellModel::Create(std::move(parts));
    rows_ = testing_support::CopyOf(world_.rows);
    for (std::size_t i = 0; i < 1600; ++i) rows_.Append(more_.row(i));
    lists_ = *world_.lists->Extended(*model_, rows_.view(), 1);
  }

  LinearScores Steep(const base::AlignedMatrix& centroids) const {
    LinearScores scores{testing_support::CopyOf(centroids), std::vector<float>(centroids.rows(), 0.0f)};
    for (std::size_t i = 0; i < centroids.rows(); ++i) {
      for (std::size_t c = 0; c < centroids.columns(); ++c) scores.weights.row(i)[c] *= 3;
    }
    return scores;
  }

  // Of rows as queries, how often the row is in the first eight cells.
  double Found(const CellModel& model, const CellLists& lists, CellRouterKind kind) const {
    std::vector<std::uint32_t> cell_of(lists.size());
    for (std::size_t cell = 0; cell < lists.cell_count(); ++cell) {
      for (std::uint32_t row : lists.Rows(cell)) cell_of[row] = static_cast<std::uint32_t>(cell);
    }
    CellOrder order;
    double found = 0;
    for (std::size_t i = 0; i < rows_.rows(); i += 10) {
      order.Start(model, kind, rows_.row(i), 8);
      for (std::size_t at = 0; at < 8; ++at) found += order.Cell(at) == cell_of[i] ? 1 : 0;
    }
    return found / (static_cast<double>(rows_.rows()) / 10);
  }

  testing_support::CellWorld world_;
  base::AlignedMatrix more_, rows_;
  std::shared_ptr<const CellModel> model_;
  std::shared_ptr<const CellLists> lists_;
};

TEST_P(CellSplitterTest, NoCellIsOverfullAfterwardsAndRoutersStillFindTheirRows) {
  const CellDrift before = MeasureDrift(*lists_);
  EXPECT_EQ(before.mean, 50);
  EXPECT_GT(before.overfull, 0u);
  EXPECT_GT(before.overfull_rows_share, 0.3);
  EXPECT_EQ(before.largest, lists_->largest_cell());
  const auto split = SplitOverfullCells(model_, *lists_, rows_.view(), 1);
  ASSERT_OK(split);
  EXPECT_GT(split->rebuilt_cells, 2u);
  const auto lists = *CellLists::Build(*split->model, rows_.view(), 1);
  const CellDrift after = MeasureDrift(*lists);
  EXPECT_EQ(after.overfull, 0u);
  EXPECT_EQ(after.empty, 0u);
  for (const auto kind : {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kLevels}) {
    if (GetParam() == Metric::kSquaredL2 && kind != CellRouterKind::kCentroids) continue;  // without biases
    EXPECT_GT(Found(*split->model, *lists, kind), 0.85) << CellRouterName(kind);
  }
  EXPECT_GT(Found(*split->model, *lists, CellRouterKind::kTree), 0.7);
  EXPECT_EQ(split->model->parts().probes, model_->parts().probes);
}

TEST_P(CellSplitterTest, OnlySubtreesAroundOverfullCellsAreTouched) {
  // One cell of the second quarter gets many rows, and its siblings have room.
  std::vector<std::uint32_t> cell_of(world_.rows.rows());
  for (std::size_t i = 0; i < cell_of.size(); ++i) cell_of[i] = static_cast<std::uint32_t>(i % 64);
  for (std::size_t i = 0; i < cell_of.size(); ++i) {
    if (cell_of[i] >= 16 && cell_of[i] < 21) cell_of[i] = 22;
  }
  const auto lists = CellLists::FromCells(cell_of, 64);
  const auto split = SplitOverfullCells(model_, *lists, world_.rows.view(), 1);
  ASSERT_OK(split);
  EXPECT_EQ(split->rebuilt_cells, 8u);
  for (std::size_t cell = 0; cell < 64; ++cell) {
    const float* row = model_->centroids().row(cell);
    const bool same = std::equal(row, row + 16, split->model->centroids().row(cell));
    EXPECT_EQ(same, cell < 16 || cell >= 24) << cell;
  }
}

TEST_P(CellSplitterTest, AModelWithoutOverfullCellsIsLeftAlone) {
  const auto split = SplitOverfullCells(model_, *world_.lists, world_.rows.view(), 1);
  ASSERT_OK(split);
  EXPECT_EQ(split->model, model_);
  EXPECT_EQ(split->rebuilt_cells, 0u);
  EXPECT_THAT(SplitOverfullCells(model_, *world_.lists, rows_.view(), 1).status(),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

INSTANTIATE_TEST_SUITE_P(Metrics, CellSplitterTest, ::testing::Values(Metric::kCosine, Metric::kSquaredL2));

}  // namespace
}  // namespace trivium::routing
