// SPDX-License-Identifier: Apache-2.0
// Gradients against finite differences, and what is learned against where it started.
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/cell_level_learner.h"
#include "routing/tree/cell_map_learner.h"
#include "routing/tree/cell_tree_learner.h"
#include "tests/support/cell_world.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using testing_support::RandomMatrix;

constexpr int kDepth = 3;
constexpr std::size_t kCells = 8, kDimension = 6, kQueries = 20;

// Each query has two or three answers, by its number.
CellTargets SomeTargets(base::MatrixView queries) {
  std::vector<std::uint32_t> answers, cell_of(kCells);
  std::iota(cell_of.begin(), cell_of.end(), 0u);
  for (std::uint32_t i = 0; i < queries.rows; ++i) {
    for (std::uint32_t answer : {i % 8, i * 3 % 8, (i + 5) % 8}) answers.push_back(answer);
  }
  return TargetsOf(queries, answers, 3, cell_of);
}

using Gradient = std::function<double(const base::AlignedMatrix& weights, base::AlignedMatrix* gradient)>;

void ExpectTrueGradient(base::AlignedMatrix weights, const Gradient& compute) {
  base::AlignedMatrix gradient(weights.rows(), weights.columns());
  compute(weights, &gradient);
  constexpr float kStep = 1e-2f;
  for (std::size_t i = 0; i < weights.rows(); ++i) {
    for (std::size_t j = 0; j < weights.columns(); ++j) {
      const float at = weights.row(i)[j];
      base::AlignedMatrix unused(weights.rows(), weights.columns());
      weights.row(i)[j] = at + kStep;
      const double above = compute(weights, &unused);
      weights.row(i)[j] = at - kStep;
      const double below = compute(weights, &unused);
      weights.row(i)[j] = at;
      EXPECT_NEAR(gradient.row(i)[j], (above - below) / (2 * kStep), 2e-4) << i << " " << j;
    }
  }
}

TEST(MapGradient, IsThatOfFiniteDifferences) {
  const auto queries = RandomMatrix(kQueries, kDimension, 1);
  const CellTargets targets = SomeTargets(queries.view());
  const std::vector<std::uint32_t> chosen = {0, 3, 4, 11, 19};
  ExpectTrueGradient(RandomMatrix(kCells, kDimension, 2), [&](const auto& weights, auto* gradient) {
    return MapGradient(weights, queries.view(), targets, chosen, 1, gradient);
  });
}

TEST(AddTreeGradient, IsThatOfFiniteDifferences) {
  const auto queries = RandomMatrix(kQueries, kDimension, 1);
  const CellTargets targets = SomeTargets(queries.view());
  const std::vector<std::uint32_t> chosen = {0, 3, 4, 11, 19};
  ExpectTrueGradient(RandomMatrix(kCells - 1, kDimension, 2), [&](const auto& weights, auto* gradient) {
    return AddTreeGradient(weights, kDepth, queries.view(), targets, chosen, gradient);
  });
}

TEST(AddTreeGradient, LossIsTheCrossEntropyOfPaths) {
  const auto queries = RandomMatrix(1, kDimension, 1);
  const auto weights = RandomMatrix(kCells - 1, kDimension, 2);
  const std::vector<std::uint32_t> answers = {5}, cell_of = {0, 0, 0, 0, 0, 6}, chosen = {0};
  base::AlignedMatrix gradient(kCells - 1, kDimension);
  const double loss = AddTreeGradient(weights, kDepth, queries.view(),
                                      TargetsOf(queries.view(), answers, 1, cell_of), chosen, &gradient);
  // Leaf 6 of 8: right, right, left, by nodes 0, 2 and 6.
  const auto z = [&](std::size_t node) {
    return -testing_support::SlowDistance(base::Metric::kInnerProduct, weights.row(node), queries.row(0),
                                          kDimension);
  };
  EXPECT_NEAR(loss, std::log1p(std::exp(-z(0))) + std::log1p(std::exp(-z(2))) + std::log1p(std::exp(z(6))),
              1e-5);
}

TEST(Coarser, AddsTheSharesOfCellsBelowANode) {
  const auto queries = RandomMatrix(2, kDimension, 1);
  const std::vector<std::uint32_t> answers = {0, 1, 5, 6, 7, 7}, cell_of = {0, 1, 2, 3, 4, 5, 6, 7};
  const CellTargets coarser = Coarser(TargetsOf(queries.view(), answers, 3, cell_of), 1);
  ASSERT_EQ(coarser.Of(0).size(), 2u);
  EXPECT_EQ(coarser.Of(0)[0].cell, 0u);
  EXPECT_NEAR(coarser.Of(0)[0].share, 2.0 / 3, 1e-6);
  EXPECT_EQ(coarser.Of(0)[1].cell, 2u);
  ASSERT_EQ(coarser.Of(1).size(), 1u);
  EXPECT_EQ(coarser.Of(1)[0].cell, 3u);
}

TEST(SplitsOfCentroids, ADocumentGoesToTheNearerHalf) {
  base::AlignedMatrix centroids(4, 2);
  const float places[4][2] = {{0, 0}, {0, 2}, {6, 0}, {6, 4}};
  for (std::size_t i = 0; i < 4; ++i) std::copy_n(places[i], 2, centroids.row(i));
  const LinearScores splits = SplitsOfCentroids(centroids.view());
  const auto goes_right = [&](std::size_t node, float x, float y) {
    return splits.weights.row(node)[0] * x + splits.weights.row(node)[1] * y + splits.biases[node] > 0;
  };
  EXPECT_FALSE(goes_right(0, 2.5f, 1));  // the halves lie around (0, 1) and (6, 2)
  EXPECT_TRUE(goes_right(0, 3.5f, 1));
  EXPECT_FALSE(goes_right(1, 0, 0.9f));
  EXPECT_TRUE(goes_right(1, 0, 1.1f));
  EXPECT_FALSE(goes_right(2, 6, 1.9f));
  EXPECT_TRUE(goes_right(2, 6, 2.1f));
}

// Queries are the rows with their first half of components negated: what is near a query is found only by
// whoever learns that.
class LearningTest : public ::testing::TestWithParam<base::Metric> {
 protected:
  LearningTest() : world_(1500, 12, 5, GetParam()) {
    training_ = Mirrored(0, 1200);
    held_out_ = Mirrored(1200, 1500);
  }

  static void Mirror(float* row) {
    for (std::size_t j = 0; j < 6; ++j) row[j] = -row[j];
  }

  base::AlignedMatrix Mirrored(std::size_t first, std::size_t last) const {
    base::AlignedMatrix queries(last - first, 12);
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t row = i * 7 % 1500;  // rows come by cluster
      std::copy_n(world_.rows.row(row), 12, queries.row(i - first));
      Mirror(queries.row(i - first));
    }
    return queries;
  }

  CellTargets Targets(const base::AlignedMatrix& queries, std::size_t first) const {
    return Targets(queries, first, world_);
  }

  CellTargets Targets(const base::AlignedMatrix& queries, std::size_t first,
                      const testing_support::CellWorld& world) const {
    std::vector<std::uint32_t> answers;
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      answers.push_back(static_cast<std::uint32_t>((first + i) * 7 % 1500));
    }
    return TargetsOf(queries.view(), answers, 1, world.built.cell_of);
  }

  // Of the held-out queries, those whose cell is among the first three.
  double Found(CellRouterKind kind, LinearScores scores) const {
    CellParts parts = world_.Parts(5);
    parts.centroid_weight = 0;
    (kind == CellRouterKind::kMap ? parts.map : parts.splits) = std::move(scores);
    return FoundBy(*CellModel::Create(std::move(parts)).value(), kind, world_, 3);
  }

  double FoundBy(const CellModel& model, CellRouterKind kind, const testing_support::CellWorld& world,
                 std::size_t count) const {
    CellOrder order;
    double found = 0;
    for (std::size_t i = 0; i < held_out_.rows(); ++i) {
      order.Start(model, kind, held_out_.row(i), count);
      const std::uint32_t cell = world.built.cell_of[(1200 + i) * 7 % 1500];
      for (std::size_t at = 0; at < count; ++at) found += order.Cell(at) == cell ? 1 : 0;
    }
    return found / static_cast<double>(held_out_.rows());
  }

  testing_support::CellWorld world_;
  base::AlignedMatrix training_, held_out_;
};

TEST_P(LearningTest, TheMapLearnsWhereAnswersLie) {
  CellLearningOptions options;
  options.rate = 0.2;
  const std::vector<float> biases(32, 0.0f);
  const auto map = LearnCellMap(world_.built.centroids.view(), biases, Targets(training_, 0),
                                Targets(held_out_, 1200), options);
  ASSERT_OK(map);
  EXPECT_LT(Found(CellRouterKind::kMap, {testing_support::CopyOf(world_.built.centroids), biases}), 0.4);
  EXPECT_GT(Found(CellRouterKind::kMap, {testing_support::CopyOf(map->learned.weights), map->learned.biases}),
            0.7);
  options.thread_count = 2;
  const auto again = LearnCellMap(world_.built.centroids.view(), biases, Targets(training_, 0),
                                  Targets(held_out_, 1200), options);
  ASSERT_OK(again);
  for (std::size_t j = 0; j < 12; ++j) {
    EXPECT_NEAR(map->learned.weights.row(3)[j], again->learned.weights.row(3)[j],
                0.05 + 0.05 * std::abs(map->learned.weights.row(3)[j]));
  }
}

TEST_P(LearningTest, TheTreeLearnsWhereAnswersLie) {
  CellLearningOptions options;
  options.rate = 0.2;
  const auto splits = LearnCellTree(world_.built.centroids.view(), 5, Targets(training_, 0),
                                    Targets(held_out_, 1200), options);
  ASSERT_OK(splits);
  EXPECT_LT(Found(CellRouterKind::kTree, SplitsOfCentroids(world_.built.centroids.view())), 0.4);
  EXPECT_GT(Found(CellRouterKind::kTree, {testing_support::CopyOf(splits->weights), splits->biases}), 0.7);
  options.thread_count = 3;
  const auto again = LearnCellTree(world_.built.centroids.view(), 5, Targets(training_, 0),
                                   Targets(held_out_, 1200), options);
  ASSERT_OK(again);
  for (std::size_t i = 0; i < 31; ++i) {
    EXPECT_TRUE(std::equal(splits->weights.row(i), splits->weights.row(i) + 12, again->weights.row(i)));
  }
}

TEST_P(LearningTest, LevelsLearnedAndHandedDownFindWhatTheMapFinds) {
  CellLearningOptions options;
  options.rate = 0.2;
  const testing_support::CellWorld world(1500, 12, 8, GetParam());  // the same rows in more cells
  const auto training = Targets(training_, 0, world), held_out = Targets(held_out_, 1200, world);
  for (const std::size_t most_learned : {256, 64}) {
    const auto levels = LearnCellLevels(world.built.centroids.view(), 8, GetParam(), most_learned, training,
                                        held_out, options);
    ASSERT_OK(levels);
    ASSERT_EQ(levels->levels.size(), 2u);
    EXPECT_EQ(levels->levels[0].weights.rows(), 16u);
    EXPECT_EQ(levels->levels[1].weights.rows(), 64u);
    EXPECT_EQ(levels->leaves.learned.empty(), most_learned == 256);
    if (levels->leaves.learned.empty()) continue;
    EXPECT_EQ(levels->leaves.learned.weights.rows(), 256u);
    // Handed down, most of what was learned is still there.
    CellParts parts = world.Parts(8);
    parts.map = CopyScores(levels->leaves.learned);
    parts.levels.clear();
    for (const LinearScores& level : levels->levels) parts.levels.push_back(CopyScores(level));
    const auto model = *CellModel::Create(std::move(parts));
    EXPECT_GT(FoundBy(*model, CellRouterKind::kLevels, world, 12),
              2 * FoundBy(*model, CellRouterKind::kCentroids, world, 12));
  }
}

TEST_P(LearningTest, CanBeCancelled) {
  const std::atomic<bool> cancelled{true};
  CellLearningOptions options;
  options.cancelled = &cancelled;
  const std::vector<float> biases(32, 0.0f);
  EXPECT_THAT(LearnCellMap(world_.built.centroids.view(), biases, Targets(training_, 0),
                           Targets(held_out_, 1200), options)
                  .status(),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(LearnCellTree(world_.built.centroids.view(), 5, Targets(training_, 0), Targets(held_out_, 1200),
                            options)
                  .status(),
              StatusIs(absl::StatusCode::kCancelled));
}

INSTANTIATE_TEST_SUITE_P(Metrics, LearningTest,
                         ::testing::Values(base::Metric::kCosine, base::Metric::kSquaredL2));

}  // namespace
}  // namespace trivium::routing
