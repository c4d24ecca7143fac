// SPDX-License-Identifier: Apache-2.0
#include "index/candidate_pool.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::index {
namespace {

TEST(CandidatePool, HoldsTheNearestSortedWithTiesByVertex) {
  base::Random random(1);
  CandidatePool pool;
  for (const std::size_t width : {1u, 2u, 7u, 64u}) {
    pool.Reset(width);
    std::set<std::pair<float, std::uint32_t>> expected;
    for (std::uint32_t vertex = 0; vertex < 300; ++vertex) {
      const auto distance = static_cast<float>(random.Below(40));
      pool.Insert(distance, vertex);
      expected.emplace(distance, vertex);
      if (expected.size() > width) expected.erase(std::prev(expected.end()));
      ASSERT_EQ(pool.size(), expected.size());
      std::size_t i = 0;
      for (const auto& [wanted_distance, wanted_vertex] : expected) {
        ASSERT_EQ(pool[i].distance, wanted_distance);
        ASSERT_EQ(pool[i].vertex, wanted_vertex);
        ++i;
      }
    }
  }
}

TEST(CandidatePool, PopsEachCandidateOnceNearestFirstWhileOthersArrive) {
  CandidatePool pool;
  pool.Reset(4);
  pool.Insert(5, 50);
  pool.Insert(3, 30);
  EXPECT_EQ(pool.PopNearest()->vertex, 30u);
  pool.Insert(1, 10);  // nearer than what was popped
  pool.Insert(4, 40);
  EXPECT_EQ(pool.PeekNearest()->vertex, 10u);
  EXPECT_EQ(pool.PopNearest()->vertex, 10u);
  EXPECT_EQ(pool.PopNearest()->vertex, 40u);
  pool.Insert(2, 20);  // full: 50 leaves before it was popped
  EXPECT_EQ(pool.PopNearest()->vertex, 20u);
  EXPECT_FALSE(pool.PopNearest().has_value());
  EXPECT_FALSE(pool.PeekNearest().has_value());
}

TEST(CandidatePool, BoundIsInfiniteUntilFull) {
  CandidatePool pool;
  pool.Reset(2);
  pool.Insert(1, 1);
  EXPECT_EQ(pool.Bound(), std::numeric_limits<float>::infinity());
  pool.Insert(2, 2);
  EXPECT_EQ(pool.Bound(), 2.0f);
  pool.Insert(3, 3);
  EXPECT_EQ(pool.Bound(), 2.0f);
  EXPECT_EQ(pool.size(), 2u);
}

}  // namespace
}  // namespace trivium::index
