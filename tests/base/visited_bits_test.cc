// SPDX-License-Identifier: Apache-2.0
#include "base/visited_bits.h"

#include <set>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(VisitedBits, GivesEachVertexOnceBetweenResetsAndInOrder) {
  VisitedBits bits;
  Random random(1);
  for (const std::size_t size : {1u, 64u, 1000u, 65u}) {
    bits.Reset(size);
    std::set<std::uint32_t> seen;
    for (int round = 0; round < 50; ++round) {
      std::vector<std::uint32_t> vertices(random.Below(40)), fresh(vertices.size() + 1, 7), expected;
      for (std::uint32_t& vertex : vertices) vertex = static_cast<std::uint32_t>(random.Below(size));
      for (const std::uint32_t vertex : vertices) {
        if (seen.insert(vertex).second) expected.push_back(vertex);
      }
      const std::size_t count = bits.InsertNew(vertices.data(), vertices.size(), fresh.data());
      EXPECT_EQ(std::vector<std::uint32_t>(fresh.begin(), fresh.begin() + count), expected);
      EXPECT_EQ(fresh.back(), 7u);
    }
  }
}

}  // namespace
}  // namespace trivium::base
