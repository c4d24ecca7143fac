// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_router.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/cell_world.h"

namespace trivium::routing {
namespace {

using base::Metric;

constexpr int kDepth = 6;
constexpr std::size_t kCells = 64;

const testing_support::CellWorld& World(Metric metric) {
  static const auto* const cosine = new testing_support::CellWorld(800, 16, kDepth, Metric::kCosine);
  static const auto* const squared = new testing_support::CellWorld(800, 16, kDepth, Metric::kSquaredL2);
  return metric == Metric::kCosine ? *cosine : *squared;
}

double Product(const float* a, const float* b, std::size_t columns) {
  return -testing_support::SlowDistance(Metric::kInnerProduct, a, b, columns);
}

// The score of every cell, from the definitions.
std::vector<double> SlowScores(const CellModel& model, CellRouterKind kind, const float* query) {
  const CellParts& parts = model.parts();
  const std::size_t d = model.dimension();
  std::vector<double> scores(model.cell_count());
  for (std::size_t cell = 0; cell < scores.size(); ++cell) {
    const double by_centroid =
        model.metric() == Metric::kSquaredL2
            ? (Product(query, query, d) -
               testing_support::SlowDistance(Metric::kSquaredL2, query, model.centroids().row(cell), d)) /
                  2
            : Product(query, model.centroids().row(cell), d);
    if (kind == CellRouterKind::kCentroids) {
      scores[cell] = by_centroid;
    } else if (kind == CellRouterKind::kMap) {
      scores[cell] = Product(query, parts.map.weights.row(cell), d) + parts.map.biases[cell];
    } else {
      scores[cell] = parts.centroid_weight * by_centroid;
      for (std::size_t node = cell + model.cell_count() - 1; node > 0; node = (node - 1) / 2) {
        const std::size_t parent = (node - 1) / 2;
        const double z = Product(query, parts.splits.weights.row(parent), d) + parts.splits.biases[parent];
        scores[cell] -= std::log1p(std::exp(node == 2 * parent + 2 ? -z : z));
      }
    }
  }
  return scores;
}

TEST(CellOrder, IsThatOfTheDefinitions) {
  for (const Metric metric : {Metric::kCosine, Metric::kSquaredL2}) {
    const auto model = *CellModel::Create(World(metric).Parts(kDepth));
    const auto queries = testing_support::ClusteredVectors(40, 16, metric, 9);
    CellOrder order;
    for (const auto kind : {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree}) {
      for (std::size_t i = 0; i < queries.rows(); ++i) {
        const std::vector<double> scores = SlowScores(*model, kind, queries.row(i));
        order.Start(*model, kind, queries.row(i), kCells);
        std::set<std::uint32_t> seen;
        for (std::size_t at = 0; at < kCells; ++at) {
          seen.insert(order.Cell(at));
          if (at > 0) {
            EXPECT_GE(scores[order.Cell(at - 1)] + 1e-4, scores[order.Cell(at)]);
          }
        }
        EXPECT_EQ(seen.size(), kCells);
      }
    }
  }
}

TEST(CellOrder, LevelsOrderLeavesByTheMapAndABeamFindsWhatItsLevelsPutFirst) {
  const auto model = *CellModel::Create(World(Metric::kCosine).Parts(kDepth));
  ASSERT_EQ(model->parts().levels.size(), 2u);  // of 4 and of 16 nodes
  const auto queries = testing_support::ClusteredVectors(40, 16, Metric::kCosine, 9);
  CellOrder by_levels, by_map;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const float* query = queries.row(i);
    by_levels.Start(*model, CellRouterKind::kLevels, query, kCells);
    by_map.Start(*model, CellRouterKind::kMap, query, kCells);
    for (std::size_t at = 0; at < kCells; ++at) EXPECT_EQ(by_levels.Cell(at), by_map.Cell(at));
    EXPECT_EQ(by_levels.products(), 16u + kCells);  // the beam holds all 16
  }
}

TEST(CellOrder, ABeamOfLevelsKeepsTheBestNodesOfEach) {
  const int depth = 9;
  const std::size_t cells = std::size_t{1} << depth, d = 8;
  CellParts parts;
  parts.depth = depth;
  parts.centroids = testing_support::ClusteredVectors(cells, d, Metric::kCosine, 1);
  parts.map = {testing_support::RandomMatrix(cells, d, 2), std::vector<float>(cells, 0.5f)};
  parts.levels.resize(3);
  for (std::size_t i = 0; i < 3; ++i) {
    parts.levels[i] = {testing_support::RandomMatrix(parts.level_size(i), d, 5 + i),
                       std::vector<float>(parts.level_size(i), 0.0f)};
  }
  const auto model = *CellModel::Create(std::move(parts));
  const auto queries = testing_support::ClusteredVectors(20, d, Metric::kCosine, 9);
  CellOrder order;
  for (std::size_t i = 0; i < queries.rows(); ++i) {
    const float* query = queries.row(i);
    // Levels of 8, 32 and 128 nodes: 32 are all in the beam, of 128 the best 32 are kept.
    const LinearScores& finest = model->parts().levels[2];
    std::vector<std::pair<double, std::size_t>> nodes;
    for (std::size_t node = 0; node < 128; ++node) {
      nodes.push_back({-Product(query, finest.weights.row(node), d), node});
    }
    std::sort(nodes.begin(), nodes.end());
    std::vector<std::pair<double, std::size_t>> leaves;
    for (std::size_t kept = 0; kept < 32; ++kept) {
      for (std::size_t leaf = 4 * nodes[kept].second; leaf < 4 * nodes[kept].second + 4; ++leaf) {
        leaves.push_back({-Product(query, model->parts().map.weights.row(leaf), d), leaf});
      }
    }
    std::sort(leaves.begin(), leaves.end());
    order.Start(*model, CellRouterKind::kLevels, query, 5);
    EXPECT_EQ(order.products(), 32u + 128 + 128);
    for (std::size_t at = 0; at < 128; ++at) EXPECT_EQ(order.Cell(at), leaves[at].second) << at;
    std::set<std::uint32_t> seen;
    for (std::size_t at = 0; at < cells; ++at) seen.insert(order.Cell(at));
    EXPECT_EQ(seen.size(), cells);
  }
}

TEST(CellOrder, GoesOnToTheLastCellHoweverFewWereAskedFor) {
  const auto model = *CellModel::Create(World(Metric::kCosine).Parts(kDepth));
  const auto queries = testing_support::ClusteredVectors(10, 16, Metric::kCosine, 9);
  CellOrder few, all;
  for (const auto kind :
       {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      few.Start(*model, kind, queries.row(i), 1);
      std::vector<std::uint32_t> cells;
      for (std::size_t at = 0; at < kCells; ++at) cells.push_back(few.Cell(at));
      if (kind == CellRouterKind::kCentroids || kind == CellRouterKind::kMap) {
        all.Start(*model, kind, queries.row(i), kCells);
        for (std::size_t at = 0; at < kCells; ++at) EXPECT_EQ(all.Cell(at), cells[at]);
      }
      std::sort(cells.begin(), cells.end());
      for (std::size_t at = 0; at < kCells; ++at) EXPECT_EQ(cells[at], at);
    }
  }
}

TEST(CellOrder, ABeamComputesNoMoreThanItsWidthALevel) {
  const int depth = 11;
  const std::size_t cells = std::size_t{1} << depth;
  CellParts parts;
  parts.depth = depth;
  parts.centroids = testing_support::ClusteredVectors(cells, 8, Metric::kCosine, 1);
  parts.splits = SplitsOfCentroids(parts.centroids.view());
  parts.centroid_weight = 100;
  const auto model = *CellModel::Create(std::move(parts));
  CellOrder order;
  order.Start(*model, CellRouterKind::kTree, model->centroids().row(77), 4);
  EXPECT_EQ(order.products(), 31u + 7 * 32);  // levels 0 to 4 whole, 5 to 10 and the leaves
  order.Start(*model, CellRouterKind::kCentroids, model->centroids().row(77), 4);
  EXPECT_EQ(order.products(), cells);
  EXPECT_EQ(order.Cell(0), 77u);
}

TEST(CellOrder, WeightsAsLargeAsFloatsAreStillPutInOrder) {
  CellParts parts = World(Metric::kCosine).Parts(kDepth);
  base::Random random(1);
  const auto spoil = [&](LinearScores* scores) {
    for (std::size_t i = 0; i < scores->weights.rows(); ++i) {
      for (std::size_t c = 0; c < 16; ++c) scores->weights.row(i)[c] = random.Below(2) == 0 ? 3e38f : -3e38f;
    }
  };
  spoil(&parts.map);
  spoil(&parts.splits);
  for (LinearScores& level : parts.levels) spoil(&level);
  const auto model = *CellModel::Create(std::move(parts));
  std::vector<float> query(16, 3e38f);
  CellOrder order;
  for (const auto kind :
       {CellRouterKind::kCentroids, CellRouterKind::kMap, CellRouterKind::kTree, CellRouterKind::kLevels}) {
    order.Start(*model, kind, query.data(), 3);
    std::set<std::uint32_t> seen;
    for (std::size_t at = 0; at < kCells; ++at) seen.insert(order.Cell(at));
    EXPECT_EQ(seen.size(), kCells);
  }
}

TEST(CellOrder, SplitsFarFromAQueryDoNotOverflow) {
  CellParts parts = World(Metric::kCosine).Parts(kDepth);
  for (std::size_t i = 0; i < parts.splits.weights.rows(); ++i)
    parts.splits.biases[i] = i % 2 == 0 ? 1e30f : -1e30f;
  const auto model = *CellModel::Create(std::move(parts));
  CellOrder order;
  order.Start(*model, CellRouterKind::kTree, model->centroids().row(0), kCells);
  std::set<std::uint32_t> seen;
  for (std::size_t at = 0; at < kCells; ++at) seen.insert(order.Cell(at));
  EXPECT_EQ(seen.size(), kCells);
}

}  // namespace
}  // namespace trivium::routing
