// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_arrangement.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::routing {
namespace {

TEST(ArrangeAsLeaves, NamesEveryRowOnceForAnyNumberOfThreads) {
  const auto rows = testing_support::ClusteredVectors(128, 12, base::Metric::kCosine, 1);
  std::vector<std::uint32_t> order = ArrangeAsLeaves(rows.view(), 1);
  EXPECT_EQ(order, ArrangeAsLeaves(rows.view(), 3));
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

TEST(ArrangeAsLeaves, GroupsShareAnAncestor) {
  // Eight groups of eight: row i belongs to group i mod 8.
  const auto grouped = testing_support::ClusteredVectors(64, 32, base::Metric::kSquaredL2, 1, 8);
  base::AlignedMatrix rows(64, 32);
  for (std::size_t i = 0; i < 64; ++i) {
    for (std::size_t j = 0; j < 32; ++j) {
      rows.row(i)[j] = grouped.row(i % 8 * 8)[j] * 4 + 0.1f * grouped.row(i % 8 * 8 + i / 8)[j];
    }
  }
  const std::vector<std::uint32_t> order = ArrangeAsLeaves(rows.view(), 1);
  for (std::size_t first = 0; first < 64; first += 8) {
    for (std::size_t i = 1; i < 8; ++i) EXPECT_EQ(order[first + i] % 8, order[first] % 8);
  }
}

TEST(ArrangeAsLeaves, EqualRowsAreArrangedSomehow) {
  const base::AlignedMatrix rows(16, 4);
  std::vector<std::uint32_t> order = ArrangeAsLeaves(rows.view(), 1);
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
}

}  // namespace
}  // namespace trivium::routing
