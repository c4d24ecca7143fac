// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_costs.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/cell_answers.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using base::Metric;

TEST(CellCosts, CountHitsAndRowsOfTheCellsThatComeFirst) {
  const testing_support::CellWorld world(900, 16, 5, Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(5));
  const auto queries = testing_support::ClusteredVectors(30, 16, Metric::kCosine, 9);
  const auto answers =
      *NearestDocuments(world.rows.view(), Metric::kCosine, queries.view(), 10, {}, 1, nullptr);
  for (const auto kind :
       {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
    const auto costs = CellCosts::Measure(*model, kind, *world.lists, queries.view(), answers, 10, 2);
    ASSERT_OK(costs);
    CellOrder order;
    for (const std::size_t step : {std::size_t{0}, std::size_t{3}, std::size_t{9}}) {
      const std::size_t probes = costs->probes()[step];
      double hits = 0, scanned = 0;
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        order.Start(*model, kind, queries.row(i), probes);
        for (std::size_t at = 0; at < probes; ++at) {
          const auto rows = world.lists->Rows(order.Cell(at));
          scanned += static_cast<double>(rows.size());
          for (std::size_t j = 0; j < 10; ++j) {
            hits += std::count(rows.begin(), rows.end(), answers[i * 10 + j]);
          }
        }
      }
      EXPECT_NEAR(costs->Recall(step), hits / 300, 1e-9);
      EXPECT_NEAR(costs->Scanned(step), scanned / 30, 1e-9);
    }
    // At a recall between two steps the cost lies between theirs.
    const double recall = (costs->Recall(2) + costs->Recall(3)) / 2;
    EXPECT_GE(costs->At(recall).scanned, costs->Scanned(2));
    EXPECT_LE(costs->At(recall).scanned, costs->Scanned(3));
    EXPECT_LE(costs->At(1.0).scanned, 900);
  }
}

TEST(CompareCellCosts, ARouterIsAsCheapAsItself) {
  const testing_support::CellWorld world(900, 16, 5, Metric::kCosine);
  const auto model = *CellModel::Create(world.Parts(5));
  const auto queries = testing_support::ClusteredVectors(50, 16, Metric::kCosine, 9);
  const auto answers =
      *NearestDocuments(world.rows.view(), Metric::kCosine, queries.view(), 10, {}, 1, nullptr);
  const auto measure = [&](CellRouterKind kind) {
    return *CellCosts::Measure(*model, kind, *world.lists, queries.view(), answers, 10, 1);
  };
  const CellCosts centroids = measure(CellRouterKind::kCentroids), random_map = measure(CellRouterKind::kMap);
  const CellCostRatio same = CompareCellCosts(centroids, centroids, 0.95, 0);
  EXPECT_EQ(same.ratio, 1);
  EXPECT_EQ(same.interval.low, 1);
  EXPECT_EQ(same.interval.high, 1);
  const CellCostRatio worse = CompareCellCosts(centroids, random_map, 0.95, 0);
  EXPECT_GT(worse.interval.low, 1);
  EXPECT_LT(worse.interval.low, worse.ratio);
  EXPECT_GT(worse.interval.high, worse.ratio);
}

}  // namespace
}  // namespace trivium::routing
