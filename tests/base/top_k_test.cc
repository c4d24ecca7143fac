// SPDX-License-Identifier: Apache-2.0
#include "base/top_k.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(TopK, KeepsNearestWhenMoreThanKArePushed) {
  Random random(3);
  TopK top;
  std::vector<Neighbor> out;
  for (const std::size_t k : {1u, 2u, 10u, 37u}) {
    std::vector<Neighbor> all;
    top.Reset(k);
    for (std::uint32_t row = 0; row < 200; ++row) {
      // Few distinct distances, so that ties decide.
      all.push_back({static_cast<float>(random.Below(20)), row});
      top.Push(all.back());
    }
    std::sort(all.begin(), all.end());
    all.resize(k);
    top.DrainSorted(&out);
    EXPECT_EQ(out, all);
    EXPECT_EQ(top.size(), 0u);
  }
}

TEST(TopK, KeepsEverythingWhenFewerThanKArePushed) {
  TopK top;
  top.Reset(10);
  top.Push({2, 0});
  top.Push({1, 1});
  std::vector<Neighbor> out;
  top.DrainSorted(&out);
  EXPECT_EQ(out, (std::vector<Neighbor>{{1, 1}, {2, 0}}));
}

TEST(TopK, BoundIsInfiniteUntilFullThenTheFarthestKept) {
  TopK top;
  top.Reset(2);
  top.Push({5, 0});
  EXPECT_EQ(top.Bound(), std::numeric_limits<float>::infinity());
  top.Push({3, 1});
  EXPECT_EQ(top.Bound(), 5.0f);
  top.Push({1, 2});
  EXPECT_EQ(top.Bound(), 3.0f);
}

TEST(TopK, KeepsNothingWhenKIsZero) {
  TopK top;
  top.Reset(0);
  top.Push({1, 1});
  EXPECT_EQ(top.size(), 0u);
}

}  // namespace
}  // namespace trivium::base
