// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_trainer.h"

#include <atomic>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/tree/cell_lists.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;
using ::testing::HasSubstr;

struct World {
  base::AlignedMatrix rows = testing_support::ClusteredVectors(6000, 24, Metric::kCosine, 1, 40);
  // Apart from the rows: one component is far from zero whatever is asked.
  base::AlignedMatrix queries = testing_support::ClusteredVectors(3000, 24, Metric::kCosine, 5, 40);

  World() {
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      queries.row(i)[0] += 0.7f;
      queries.row(i)[1] -= 0.7f;
    }
    testing_support::Normalise(&queries);
  }
  CellTrainingData data() const { return {rows.view(), Metric::kCosine, queries.view()}; }
};

const World& TheWorld() {
  static const World* const world = new World;
  return *world;
}

TEST(TrainCells, LearnsAnOrderThatReadsFewerRows) {
  CellTrainingOptions options;
  options.depth = 7;
  options.thread_count = 2;
  options.learn_tree = true;
  const auto trained = TrainCells(TheWorld().data(), options);
  ASSERT_OK(trained);
  const CellTrainingReport& report = trained->report;
  EXPECT_EQ(report.cells, 128u);
  EXPECT_EQ(report.used_cells, 128u);
  EXPECT_LE(static_cast<double>(report.largest_cell), 4 * report.mean_cell);
  EXPECT_EQ(report.validation_queries, 600u);
  EXPECT_GT(report.training_queries, 2000u);
  EXPECT_TRUE(report.accepted) << report.reason;
  EXPECT_EQ(report.router, trained->model->router());
  const auto& centroids = report.costs[0];
  const auto& map = report.costs[static_cast<std::size_t>(CellRouterKind::kMap)];
  EXPECT_LT(map.scanned, centroids.scanned) << report.reason;
  EXPECT_LT(map.interval.high, 1) << report.reason;
  EXPECT_THAT(report.reason, HasSubstr("map: rows read and products"));
  EXPECT_THAT(report.reason, HasSubstr("tree: rows read and products"));
  EXPECT_THAT(report.reason, HasSubstr("levels: rows read and products"));

  // What was calibrated holds on queries like those.
  const auto lists = *CellLists::Build(*trained->model, TheWorld().rows.view(), 1);
  const index::RowDistances distances(TheWorld().rows.view(), Metric::kCosine);
  CellOrder order;
  index::SearchScratch scratch;
  std::vector<base::Neighbor> found;
  for (const auto kind :
       {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
    std::size_t hits = 0;
    for (std::size_t i = 0; i < 300; ++i) {
      const float* query = TheWorld().queries.row(i * 10);
      lists->Search(*trained->model, distances, query, {.router = kind}, &order, &scratch, &found, nullptr);
      hits += testing_support::CountFound(
          found, testing_support::SlowSearch(TheWorld().rows.view(), Metric::kCosine, query, 10));
    }
    EXPECT_GT(hits, 3000 * 0.92);
    EXPECT_LT(hits, 3000 * 0.99);
  }
}

TEST(TrainCells, WithoutQueriesCellsAreVisitedByTheirCentroids) {
  CellTrainingOptions options;
  options.depth = 6;
  CellTrainingData data = TheWorld().data();
  for (const std::size_t count : {0, 99}) {
    data.queries = TheWorld().queries.view().First(count);
    const auto trained = TrainCells(data, options);
    ASSERT_OK(trained);
    EXPECT_FALSE(trained->report.accepted);
    EXPECT_EQ(trained->model->router(), CellRouterKind::kCentroids);
    EXPECT_FALSE(trained->model->Has(CellRouterKind::kMap));
    EXPECT_THAT(trained->report.reason, HasSubstr("queries, expected at least 100"));
    EXPECT_GE(trained->model->parts().probes[0][2], 1u);
    EXPECT_GE(trained->model->parts().probes[0][3], trained->model->parts().probes[0][0]);
  }
}

TEST(TrainCells, SomeRoutersCanBeLeftOut) {
  CellTrainingOptions options;
  options.depth = 5;
  options.learn_map = false;
  options.learn_levels = false;
  options.learn_tree = true;
  CellTrainingData data = TheWorld().data();
  data.queries = data.queries.First(300);
  const auto trained = TrainCells(data, options);
  ASSERT_OK(trained);
  EXPECT_FALSE(trained->model->Has(CellRouterKind::kMap));
  EXPECT_TRUE(trained->model->Has(CellRouterKind::kTree));
  EXPECT_FALSE(trained->report.costs[1].measured);
}

TEST(TrainCells, TellsOfEveryStageAndCanBeCancelledInEach) {
  CellTrainingOptions options;
  options.depth = 6;
  options.learn_tree = true;
  CellTrainingData data = TheWorld().data();
  data.queries = data.queries.First(300);
  std::vector<std::string> stages;
  options.progress = [&](std::string_view stage, std::size_t done, std::size_t total) {
    if (stages.empty() || stages.back() != stage) stages.emplace_back(stage);
    EXPECT_LE(done, total);
  };
  ASSERT_OK(TrainCells(data, options));
  EXPECT_EQ(stages, (std::vector<std::string>{"cells", "answers", "map", "levels", "tree", "gate"}));
  for (const std::string& wanted : stages) {
    std::atomic<bool> cancelled{false};
    options.cancelled = &cancelled;
    options.progress = [&](std::string_view stage, std::size_t, std::size_t) {
      if (stage == wanted) cancelled = true;
    };
    EXPECT_THAT(TrainCells(data, options).status(), StatusIs(absl::StatusCode::kCancelled)) << wanted;
  }
}

TEST(TrainCells, WrongOptionsAndShapesAreRefused) {
  CellTrainingOptions options;
  const auto invalid = StatusIs(absl::StatusCode::kInvalidArgument);
  options.depth = 0;
  EXPECT_THAT(TrainCells(TheWorld().data(), options).status(), invalid);
  options.depth = 13;
  EXPECT_THAT(TrainCells(TheWorld().data(), options).status(), invalid);  // fewer documents
  options.depth = 5;
  options.validation_share = 1;
  EXPECT_THAT(TrainCells(TheWorld().data(), options).status(), invalid);
  options.validation_share = 0.2;
  const auto other = testing_support::ClusteredVectors(200, 23, Metric::kCosine, 1);
  CellTrainingData data = TheWorld().data();
  data.queries = other.view();
  EXPECT_THAT(TrainCells(data, options).status(), invalid);
}

TEST(CellDepthFor, GrowsWithTheRootOfTheRows) {
  EXPECT_EQ(CellDepthFor(0), 1);
  EXPECT_EQ(CellDepthFor(1000), 6);
  EXPECT_EQ(CellDepthFor(160'955), 10);
  EXPECT_EQ(CellDepthFor(std::size_t{1} << 40), kDeepestCells);
}

}  // namespace
}  // namespace trivium::routing
