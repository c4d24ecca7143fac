// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_regions.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::ClusteredQueries;

std::vector<std::size_t> SizesOf(const std::vector<std::uint32_t>& region_of) {
  std::vector<std::size_t> sizes(*std::max_element(region_of.begin(), region_of.end()) + 1, 0);
  for (const std::uint32_t region : region_of) ++sizes[region];
  return sizes;
}

TEST(GroupIntoRegions, KeepsNeighboursTogether) {
  constexpr std::size_t kGroups = 5;
  ClusteredQueries source(32, kGroups, 1e-4, 2);  // else k-means may end elsewhere
  base::AlignedMatrix directions(32);
  for (std::size_t i = 0; i < 60; ++i) directions.Append(source.Draw(i % kGroups).data());
  const std::vector<std::uint32_t> region_of = GroupIntoRegions(directions.view(), kGroups, 48, 1);
  EXPECT_EQ(SizesOf(region_of), std::vector<std::size_t>(kGroups, 12));
  for (std::size_t i = kGroups; i < 60; ++i) EXPECT_EQ(region_of[i], region_of[i % kGroups]) << i;
}

TEST(GroupIntoRegions, FillsNoRegionBeyondItsRoomAndLeavesNoneEmpty) {
  base::Random random(8);
  for (int round = 0; round < 50; ++round) {
    const std::size_t count = 1 + random.Below(60), regions = 1 + random.Below(count);
    const std::size_t largest = (count + regions - 1) / regions + random.Below(4);
    base::AlignedMatrix directions(6);
    const std::vector<float> common = testing_support::RandomUnitVector(6, &random);
    for (std::size_t i = 0; i < count; ++i) {
      const bool same = random.Below(2) == 0, none = random.Below(5) == 0;
      const std::vector<float> own = testing_support::RandomUnitVector(6, &random), nowhere(6, 0.0f);
      directions.Append(none ? nowhere.data() : same ? common.data() : own.data());
    }
    const std::vector<std::uint32_t> region_of = GroupIntoRegions(directions.view(), regions, largest, 1);
    ASSERT_EQ(region_of.size(), count);
    const std::vector<std::size_t> sizes = SizesOf(region_of);
    EXPECT_LE(sizes.size(), regions);
    EXPECT_LE(*std::max_element(sizes.begin(), sizes.end()), largest);
    EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 1u);
  }
}

TEST(GroupIntoRegions, SpreadsRowsWithoutADirection) {
  const base::AlignedMatrix directions(9, 4);
  EXPECT_EQ(SizesOf(GroupIntoRegions(directions.view(), 3, 3, 1)), (std::vector<std::size_t>{3, 3, 3}));
}

}  // namespace
}  // namespace trivium::routing
