// SPDX-License-Identifier: Apache-2.0
#include "base/bitmap.h"

#include <set>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(Bitmap, AgreesWithASetAtOddSizes) {
  for (const std::size_t size : {0u, 1u, 63u, 64u, 65u, 1000u}) {
    Bitmap bitmap(size);
    std::set<std::size_t> expected;
    Random random(size);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t item = random.Below(size);
      if (random.Uniform() < 0.7) {
        bitmap.Set(item);
        expected.insert(item);
      } else {
        bitmap.Clear(item);
        expected.erase(item);
      }
    }
    std::vector<std::size_t> visited;
    bitmap.ForEachSet([&](std::size_t i) { visited.push_back(i); });
    EXPECT_EQ(visited, std::vector<std::size_t>(expected.begin(), expected.end()));
    EXPECT_EQ(bitmap.CountSet(), expected.size());
    for (std::size_t i = 0; i < size; ++i) EXPECT_EQ(bitmap.Test(i), expected.contains(i));
  }
}

TEST(Bitmap, GrowsWithTheGivenValueAndShrinksWithoutLeavingBitsBehind) {
  Bitmap bitmap(10, true);
  EXPECT_EQ(bitmap.CountSet(), 10u);
  bitmap.Resize(130, false);
  EXPECT_EQ(bitmap.CountSet(), 10u);
  bitmap.Resize(200, true);
  EXPECT_EQ(bitmap.CountSet(), 80u);
  EXPECT_TRUE(bitmap.Test(199));
  EXPECT_FALSE(bitmap.Test(129));
  bitmap.Resize(5);
  EXPECT_EQ(bitmap.CountSet(), 5u);
  bitmap.Resize(200);
  EXPECT_EQ(bitmap.CountSet(), 5u);
}

}  // namespace
}  // namespace trivium::base
