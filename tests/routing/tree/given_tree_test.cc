// SPDX-License-Identifier: Apache-2.0
// Trees whose leaf distributions were made elsewhere: nodes, units of masses, and ranking by bytes against
// ranking by exact masses.
#include "routing/tree/given_tree.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <ostream>
#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/leaf_table.h"
#include "tests/support/slow_tree.h"

namespace trivium::routing {
namespace {

using testing_support::RandomDistributions;
using testing_support::SlowShare;

std::vector<float> Nodes(const SplitTree& tree, const float* x) {
  std::vector<float> nodes(tree.nodes());
  tree.Assign(x, nullptr, nodes.data());
  return nodes;
}

TEST(GivenTree, NodesAreSumsOfTheLeavesBelow) {
  for (std::size_t depth = 1; depth <= kDeepestSplitTree; ++depth) {
    const SplitTree tree = SplitTree::Given(depth);
    const base::AlignedMatrix rows = RandomDistributions(3, depth, 1.5, depth);
    const float* x = rows.row(1);
    const double whole = std::accumulate(x, x + tree.leaves(), 0.0);
    const std::vector<float> nodes = Nodes(tree, x);
    for (std::size_t v = 1; v < tree.nodes(); ++v) {
      std::size_t first = v, last = v + 1;
      for (; first < tree.leaves(); first *= 2) last *= 2;
      const double sum = std::accumulate(x + first - tree.leaves(), x + last - tree.leaves(), 0.0);
      ASSERT_NEAR(nodes[v], sum / whole, 1e-5) << depth << " " << v;
    }
    EXPECT_EQ(nodes[0], 0);
    base::AlignedMatrix many;
    AssignMany(tree, rows.view(), 2, &many);
    for (std::size_t v = 0; v < tree.nodes(); ++v) ASSERT_EQ(many.row(1)[v], nodes[v]);
    std::size_t v = 1;
    while (v < tree.leaves()) v = 2 * v + (nodes[2 * v + 1] > nodes[2 * v] ? 1 : 0);
    EXPECT_EQ(tree.GreedyLeaf(x, nullptr), v - tree.leaves());
  }
}

TEST(GivenTree, WhatIsBelowZeroCountsAsZero) {
  const SplitTree tree = SplitTree::Given(2);
  const float mixed[] = {3, -2, 1, 0}, none[] = {-1, 0, -1, 0};
  EXPECT_EQ(Nodes(tree, mixed), (std::vector<float>{0, 1, 0.75, 0.25, 0.75, 0, 0.25, 0}));
  EXPECT_EQ(tree.GreedyLeaf(mixed, nullptr), 0u);
  EXPECT_EQ(Nodes(tree, none), (std::vector<float>{0, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25}));
}

TEST(GivenTree, UnitsDoubleUpToWhere255HoldAll) {
  SplitTree tree = SplitTree::Given(6);
  EXPECT_EQ(tree.UnitDoublings(1), 0u);
  tree.mass_unit = 0.125f / 255;
  for (std::size_t level = 0; level <= 6; ++level) {
    EXPECT_EQ(tree.UnitDoublings(level), std::min<std::size_t>(3, 6 - level)) << level;
  }
  EXPECT_EQ(SplitTree(5, 6).UnitDoublings(1), 5u);  // one that was learned
}

struct Agreement {
  double recall = 0;   // share of the ten that share most, by exact masses, that the ten found equal or beat
  double missing = 0;  // shared mass that the ten found have less than those
};

Agreement Compare(const SplitTree& tree, const base::AlignedMatrix& rows, const base::AlignedMatrix& queries,
                  std::size_t level) {
  const auto table = LeafTable::Build(tree, rows.view(), 2);
  LeafScratch scratch;
  Agreement agreement;
  const double share = 1.0 / static_cast<double>(10 * queries.rows());
  for (std::size_t q = 0; q < queries.rows(); ++q) {
    scratch.query.Set(tree, queries.row(q));
    std::vector<base::Neighbor> found;
    table->Search(scratch.query, level, 10, nullptr, &scratch, &found, nullptr);
    std::vector<double> shares;
    for (std::size_t i = 0; i < rows.rows(); ++i) {
      shares.push_back(SlowShare(rows.row(i), queries.row(q), tree.depth, level));
    }
    std::vector<double> best = shares;
    std::partial_sort(best.begin(), best.begin() + 10, best.end(), std::greater<>());
    for (std::size_t i = 0; i < 10; ++i) {
      agreement.recall += share * (shares[found[i].row] >= best[9] - 1e-6 ? 1 : 0);
      agreement.missing += share * (best[i] - shares[found[i].row]);
    }
  }
  return agreement;
}

struct Case {
  std::size_t depth;
  double sharpness;
  float largest_unit, smallest_unit;  // in 255ths
  double recall;                      // least, at the leaves
  friend void PrintTo(const Case& given, std::ostream* out) {
    *out << "depth " << given.depth << ", sharpness " << given.sharpness;
  }
};

class GivenTreeRanking : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Sharpness, GivenTreeRanking,
                         ::testing::Values(Case{4, 0.3, 0.25, 0.125, 0.9},  // soft
                                           Case{9, 0.3, 0.01, 0.001, 0.9},  //
                                           Case{4, 2, 1, 0.5, 0.9},         // in between
                                           Case{9, 2, 1, 0.01, 0.8},        //
                                           Case{4, 8, 1, 1, 0.8},           // nearly all in one leaf
                                           Case{9, 8, 1, 1, 0.9}));

TEST_P(GivenTreeRanking, ByBytesIsCloseToThatByExactMasses) {
  const Case& given = GetParam();
  const base::AlignedMatrix rows = RandomDistributions(1500, given.depth, given.sharpness, 1);
  const base::AlignedMatrix queries = RandomDistributions(40, given.depth, given.sharpness, 2);
  const GivenTree made = MakeGivenTree(given.depth, rows.view(), 2);
  EXPECT_LE(made.tree.mass_unit * 255, given.largest_unit);
  EXPECT_GE(made.tree.mass_unit * 255, given.smallest_unit);
  const double recall = Compare(made.tree, rows, queries, given.depth).recall;
  EXPECT_GE(recall, given.recall);
  EXPECT_NEAR(made.kept, recall, 0.1);
  // Coarse levels are told apart by less than a unit, so that others are found that share about as much.
  for (std::size_t level = given.depth; level >= 1; --level) {
    EXPECT_LE(Compare(made.tree, rows, queries, level).missing, 0.012) << level;  // three units
  }
}

TEST(GivenTree, OneRowIsEnoughToChooseAUnit) {
  const base::AlignedMatrix rows = RandomDistributions(1, 5, 8, 1);
  const GivenTree made = MakeGivenTree(5, rows.view(), 1);
  EXPECT_EQ(made.kept, 1);
  EXPECT_EQ(made.tree.mass_unit, 1.0f / 255);
  EXPECT_EQ(MakeGivenTree(5, RandomDistributions(700, 5, 2, 1).view(), 1).tree.mass_unit,
            MakeGivenTree(5, RandomDistributions(700, 5, 2, 1).view(), 3).tree.mass_unit);
}

}  // namespace
}  // namespace trivium::routing
