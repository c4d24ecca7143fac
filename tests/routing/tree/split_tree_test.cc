// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/split_tree.h"

#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/tree_start.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_tree.h"

namespace trivium::routing {
namespace {

using testing_support::RandomTree;
using testing_support::SlowProbability;

constexpr std::size_t kDimension = 13;

class SplitTreeTest : public ::testing::TestWithParam<std::size_t> {
 protected:
  base::AlignedMatrix rows_ = testing_support::ClusteredVectors(40, kDimension, base::Metric::kCosine, 2);
};
INSTANTIATE_TEST_SUITE_P(Hidden, SplitTreeTest, ::testing::Values(0, 7));

TEST_P(SplitTreeTest, ProbabilitiesAreProductsOfSigmoidsAtEveryDepth) {
  for (std::size_t depth = 1; depth <= 6; ++depth) {
    const SplitTree tree = RandomTree(kDimension, depth, GetParam(), depth);
    std::vector<float> features(tree.features()), nodes(tree.nodes());
    for (std::size_t i = 0; i < 5; ++i) {
      tree.Assign(rows_.row(i), features.data(), nodes.data());
      EXPECT_EQ(nodes[0], 0);
      for (std::size_t v = 1; v < tree.nodes(); ++v) {
        ASSERT_NEAR(nodes[v], SlowProbability(tree, rows_.row(i), v), 1e-5) << depth << " " << v;
      }
    }
  }
}

TEST_P(SplitTreeTest, ManyRowsAreAssignedAsOneByOneWithAnyNumberOfThreads) {
  const SplitTree tree = RandomTree(kDimension, 5, GetParam(), 9);
  const base::AlignedMatrix rows =
      testing_support::ClusteredVectors(1100, kDimension, base::Metric::kCosine, 3);
  base::AlignedMatrix one, two;
  AssignMany(tree, rows.view(), 1, &one);
  AssignMany(tree, rows.view(), 3, &two);
  std::vector<float> features(tree.features()), nodes(tree.nodes());
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    tree.Assign(rows.row(i), features.data(), nodes.data());
    for (std::size_t v = 0; v < tree.nodes(); ++v) {
      ASSERT_EQ(one.row(i)[v], nodes[v]);
      ASSERT_EQ(two.row(i)[v], nodes[v]);
    }
  }
}

TEST_P(SplitTreeTest, GreedyLeafFollowsTheMoreProbableChild) {
  const SplitTree tree = RandomTree(kDimension, 6, GetParam(), 4);
  std::vector<float> features(tree.features());
  for (std::size_t i = 0; i < rows_.rows(); ++i) {
    std::size_t v = 1;
    for (std::size_t level = 0; level < tree.depth; ++level) {
      const double first = SlowProbability(tree, rows_.row(i), 2 * v);
      v = 2 * v + (SlowProbability(tree, rows_.row(i), 2 * v + 1) > first ? 1 : 0);
    }
    EXPECT_EQ(tree.GreedyLeaf(rows_.row(i), features.data()), v - tree.leaves());
  }
}

TEST(HalvingTreeTest, EveryLeafGetsAsManyRows) {
  const base::AlignedMatrix rows =
      testing_support::ClusteredVectors(640, kDimension, base::Metric::kCosine, 5);
  const SplitTree tree = HalvingTree(rows.view(), 5, 1);
  std::vector<int> counts(tree.leaves());
  for (std::size_t i = 0; i < rows.rows(); ++i) ++counts[tree.GreedyLeaf(rows.row(i), nullptr)];
  // The row at the median itself may fall on either side.
  for (const int count : counts) EXPECT_NEAR(count, 20, 5);
}

TEST(HalvingTreeTest, FewerRowsThanLeavesAndEqualRowsAreSplitSomehow) {
  base::AlignedMatrix rows(3, kDimension);
  for (std::size_t i = 0; i < 3; ++i) rows.row(i)[0] = 1;
  const SplitTree tree = HalvingTree(rows.view(), 6, 1);
  std::vector<float> nodes(tree.nodes());
  tree.Assign(rows.row(0), nullptr, nodes.data());
  double sum = 0;
  for (std::size_t i = 0; i < tree.leaves(); ++i) sum += nodes[tree.leaves() + i];
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(HalvingTreeTest, AHiddenLayerChangesNothingAtTheStart) {
  const base::AlignedMatrix rows =
      testing_support::ClusteredVectors(200, kDimension, base::Metric::kCosine, 5);
  const SplitTree linear = HalvingTree(rows.view(), 4, 1), deep = WithHiddenLayer(linear);
  base::AlignedMatrix a, b;
  AssignMany(linear, rows.view(), 1, &a);
  AssignMany(deep, rows.view(), 1, &b);
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    for (std::size_t v = 1; v < linear.nodes(); ++v) EXPECT_NEAR(a.row(i)[v], b.row(i)[v], 1e-4);
  }
}

}  // namespace
}  // namespace trivium::routing
