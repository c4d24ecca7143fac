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

TEST(CandidatePool, OrdersDistancesOfEitherSignAndHoldsTheLargestVertex) {
  CandidatePool pool;
  pool.Reset(10);
  const float infinity = std::numeric_limits<float>::infinity();
  const auto last = static_cast<std::uint32_t>(kMaxVertexCount - 1);
  const std::vector<float> distances = {3, -0.0f, infinity, -1e-30f, 1e-30f, -7, -infinity, 0, -2.5f};
  for (std::size_t i = 0; i < distances.size(); ++i) {
    pool.Insert(distances[i], last - static_cast<std::uint32_t>(i));
  }
  std::vector<float> sorted = distances;
  std::sort(sorted.begin(), sorted.end());
  ASSERT_EQ(pool.size(), sorted.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(pool[i].distance, sorted[i]);
  // Two zeros are one distance, so the smaller vertex comes first.
  EXPECT_EQ(pool[4].vertex, last - 7);
  EXPECT_EQ(pool[5].vertex, last - 1);
  EXPECT_EQ(pool.PopNearest()->vertex, last - 6);
}

TEST(CandidatePool, AVertexMayWaitAtSeveralDistances) {
  CandidatePool pool;
  pool.Reset(4);
  pool.Insert(2, 7);
  pool.Insert(1, 7);
  pool.Insert(1, 7);
  EXPECT_EQ(pool.size(), 3u);
  EXPECT_EQ(pool.PopNearest()->distance, 1.0f);
  EXPECT_EQ(pool.PopNearest()->distance, 1.0f);
  EXPECT_EQ(pool.PopNearest()->distance, 2.0f);
  EXPECT_FALSE(pool.PopNearest().has_value());
}

TEST(CandidatePool, DropsWhatIsBeyondALimitAndTakesOthersAgain) {
  CandidatePool pool;
  pool.Reset(4);
  for (std::uint32_t i = 1; i <= 4; ++i) pool.Insert(static_cast<float>(i), i);
  EXPECT_EQ(pool.PopNearest()->vertex, 1u);
  EXPECT_EQ(pool.PopNearest()->vertex, 2u);
  EXPECT_EQ(pool.PopNearest()->vertex, 3u);
  pool.DropBeyond(2);  // itself stays
  EXPECT_EQ(pool.size(), 2u);
  EXPECT_EQ(pool.Bound(), std::numeric_limits<float>::infinity());
  EXPECT_FALSE(pool.PeekNearest().has_value());  // both were popped
  pool.Insert(9, 9);
  EXPECT_EQ(pool.PopNearest()->vertex, 9u);
  pool.DropBeyond(-1);
  EXPECT_EQ(pool.size(), 0u);
  EXPECT_FALSE(pool.PopNearest().has_value());
}

TEST(CandidatePool, WidenedKeepsWhatItHasAndTakesMore) {
  CandidatePool pool;
  pool.Reset(2);
  for (std::uint32_t i = 1; i <= 5; ++i) pool.Insert(static_cast<float>(i), i);
  EXPECT_EQ(pool.PopNearest()->vertex, 1u);
  pool.Widen(300);
  EXPECT_EQ(pool.Bound(), std::numeric_limits<float>::infinity());
  for (std::uint32_t i = 6; i <= 305; ++i) pool.Insert(static_cast<float>(i), i);
  EXPECT_EQ(pool.size(), 300u);
  EXPECT_EQ(pool.Bound(), 303.0f);
  EXPECT_EQ(pool.PopNearest()->vertex, 2u);
  EXPECT_EQ(pool.PopNearest()->vertex, 6u);
}

}  // namespace
}  // namespace trivium::index
