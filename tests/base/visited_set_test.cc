// SPDX-License-Identifier: Apache-2.0
#include "base/visited_set.h"

#include <set>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(VisitedSet, InsertIsTrueOnlyTheFirstTimeSinceReset) {
  VisitedSet visited;
  Random random(4);
  for (int search = 0; search < 20; ++search) {
    visited.Reset(100);
    std::set<std::uint32_t> expected;
    for (int i = 0; i < 150; ++i) {
      const auto vertex = static_cast<std::uint32_t>(random.Below(100));
      EXPECT_EQ(visited.Insert(vertex), expected.insert(vertex).second);
    }
  }
}

TEST(VisitedSet, ForgetsEverythingAtEachReset) {
  VisitedSet visited;
  for (const std::size_t size : {200u, 65u, 64u, 200u}) {
    visited.Reset(size);
    for (std::uint32_t vertex = 0; vertex < size; ++vertex) EXPECT_TRUE(visited.Insert(vertex)) << vertex;
    for (std::uint32_t vertex = 0; vertex < size; ++vertex) EXPECT_FALSE(visited.Insert(vertex)) << vertex;
  }
}

TEST(VisitedSet, GrowsWithoutMarkingNewVertices) {
  VisitedSet visited;
  visited.Reset(1);
  EXPECT_TRUE(visited.Insert(0));
  visited.Reset(1000);
  for (std::uint32_t vertex = 0; vertex < 1000; ++vertex) EXPECT_TRUE(visited.Insert(vertex));
}

}  // namespace
}  // namespace trivium::base
