// SPDX-License-Identifier: Apache-2.0
#include "base/vertex_set.h"

#include <set>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(VertexSet, AgreesWithAnOrderedSetWhileItGrowsAndIsReused) {
  VertexSet vertices;
  Random random(1);
  for (const std::size_t insertions : {3u, 511u, 512u, 513u, 20000u, 10u}) {
    vertices.Clear();
    std::set<std::uint32_t> expected;
    for (std::size_t i = 0; i < insertions; ++i) {
      const auto vertex = static_cast<std::uint32_t>(random.Below(2 * insertions));
      ASSERT_EQ(vertices.Contains(vertex), expected.contains(vertex));
      ASSERT_EQ(vertices.Insert(vertex), expected.insert(vertex).second);
      ASSERT_TRUE(vertices.Contains(vertex));
    }
    for (std::uint32_t vertex = 0; vertex < 2 * insertions; ++vertex) {
      ASSERT_EQ(vertices.Contains(vertex), expected.contains(vertex));
    }
  }
}

TEST(VertexSet, ForgetsEverythingWhenCleared) {
  VertexSet vertices;
  for (const std::uint32_t count : {5u, 5000u}) {
    vertices.Clear();
    for (std::uint32_t vertex = 0; vertex < count; ++vertex) vertices.Insert(vertex);
    vertices.Clear();
    for (std::uint32_t vertex = 0; vertex < count; ++vertex) ASSERT_FALSE(vertices.Contains(vertex));
  }
}

TEST(VertexSet, GivesBackTheRoomOfAWideSearchAfterANarrowOne) {
  VertexSet vertices;
  vertices.Clear();
  const std::size_t smallest = vertices.place_count();
  const auto search = [&](std::uint32_t width) {
    vertices.Clear();
    for (std::uint32_t vertex = 0; vertex < width; ++vertex) ASSERT_TRUE(vertices.Insert(vertex));
  };
  search(100000);
  const std::size_t wide = vertices.place_count();
  EXPECT_GE(wide, 200000u);
  search(40000);  // somewhat narrower ones keep it
  EXPECT_EQ(vertices.place_count(), wide);
  search(2000);
  EXPECT_EQ(vertices.place_count(), wide);  // made for the search before
  search(2000);
  EXPECT_EQ(vertices.place_count(), 8192u);
  search(2000);
  EXPECT_EQ(vertices.place_count(), 8192u);  // and then it stays
  search(50);
  search(50);
  EXPECT_EQ(vertices.place_count(), smallest);
  vertices.Clear();
  vertices.Clear();
  EXPECT_EQ(vertices.place_count(), smallest);
}

TEST(VertexSet, HoldsTheSmallestAndTheLargestVertices) {
  VertexSet vertices;
  vertices.Clear();
  for (const std::uint32_t vertex : {0u, VertexSet::kNone - 1, 0x7FFFFFFEu}) {
    EXPECT_FALSE(vertices.Contains(vertex));
    EXPECT_TRUE(vertices.Insert(vertex));
    EXPECT_FALSE(vertices.Insert(vertex));
  }
}

// 2^22 apart, hashes agree in the bits that choose a place of the smallest table.
TEST(VertexSet, VerticesThatWantTheSamePlaceAreAllKept) {
  VertexSet vertices;
  vertices.Clear();
  for (std::uint32_t i = 0; i < 512; ++i) ASSERT_TRUE(vertices.Insert(i << 22));
  for (std::uint32_t i = 0; i < 512; ++i) {
    ASSERT_TRUE(vertices.Contains(i << 22));
    ASSERT_FALSE(vertices.Contains((i << 22) + 1));
  }
}

}  // namespace
}  // namespace trivium::base
