// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cell_groups.h"

#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kDimension = 7;

TEST(CellGroups, HoldTheDirectionsAndSharesOfTheNodes) {
  base::Random random(2);
  CellGroups groups;
  for (const std::size_t count : {1, 50, 300}) {
    base::AlignedMatrix rows(kDimension);
    std::vector<std::uint32_t> nodes;
    std::map<std::uint32_t, std::vector<double>> sums;
    std::map<std::uint32_t, double> counts;
    for (std::size_t i = 0; i < count; ++i) {
      rows.Append(testing_support::RandomUnitVector(kDimension, &random).data());
      nodes.push_back(static_cast<std::uint32_t>(random.Next() % 20));
      std::vector<double>& sum = sums[nodes.back()];
      sum.resize(kDimension, 0.0);
      for (std::size_t c = 0; c < kDimension; ++c) sum[c] += rows.row(i)[c];
      counts[nodes.back()] += 1;
    }
    std::size_t group = groups.shares.size();
    AddCellGroups(rows.view(), nodes, &groups);
    ASSERT_EQ(groups.shares.size(), group + sums.size());
    ASSERT_EQ(groups.directions.rows(), groups.shares.size());
    for (const auto& [node, sum] : sums) {
      double norm = 0;
      for (const double x : sum) norm += x * x;
      for (std::size_t c = 0; c < kDimension; ++c) {
        EXPECT_NEAR(groups.directions.row(group)[c], sum[c] / std::sqrt(norm), 1e-5);
      }
      EXPECT_NEAR(groups.shares[group++], counts[node] / static_cast<double>(count), 1e-6);
    }
  }
}

TEST(CellGroups, VectorsThatCancelEachOtherOutPointNowhere) {
  base::AlignedMatrix rows(2);
  for (const std::vector<float>& row : {std::vector<float>{1, 0}, {-1, 0}}) rows.Append(row.data());
  CellGroups groups;
  AddCellGroups(rows.view(), std::vector<std::uint32_t>{4, 4}, &groups);
  ASSERT_EQ(groups.shares, std::vector<float>{1});
  EXPECT_EQ(groups.directions.row(0)[0], 0);
}

TEST(CellGroups, LevelsAreClimbedUntilThereAreFewEnough) {
  base::Random random(3);
  constexpr int kDepth = 6;
  std::vector<std::vector<std::uint32_t>> cells(5);
  for (std::vector<std::uint32_t>& of_set : cells) {
    for (int i = 0; i < 40; ++i) of_set.push_back(static_cast<std::uint32_t>(random.Next() % (1 << kDepth)));
  }
  const auto count = [&](int climbed) {
    std::size_t groups = 0;
    for (const std::vector<std::uint32_t>& of_set : cells) {
      std::set<std::uint32_t> nodes;
      for (const std::uint32_t cell : of_set) nodes.insert(cell >> climbed);
      groups += nodes.size();
    }
    return groups;
  };
  for (std::size_t most = 0; most <= 205; ++most) {
    int fewest = 0;
    while (fewest < kDepth && count(fewest) > most) ++fewest;
    EXPECT_EQ(LevelsToClimb(cells, kDepth, most), fewest) << most;
  }
  EXPECT_EQ(LevelsToClimb({}, kDepth, 0), 0);
}

}  // namespace
}  // namespace trivium::routing
