// SPDX-License-Identifier: Apache-2.0
#include "base/random.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(Random, FirstNumbersAreThoseOfSplitMix64) {
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317ull);
  EXPECT_EQ(random.Next(), 3203168211198807973ull);
  EXPECT_EQ(random.Next(), 9817491932198370423ull);
}

TEST(Random, BelowAndUniformStayInRangeAndReachAllOfIt) {
  Random random(5);
  std::vector<int> seen(7, 0);
  for (int i = 0; i < 7000; ++i) {
    ++seen[random.Below(7)];
    const double value = random.Uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
  }
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  Random random(6);
  double sum = 0, squares = 0;
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.Normal();
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.03);
  EXPECT_NEAR(squares / kCount, 1.0, 0.05);
}

TEST(Random, ShuffleKeepsTheItemsAndDependsOnTheSeedAlone) {
  std::vector<int> items(100), again(100), other(100);
  std::iota(items.begin(), items.end(), 0);
  again = other = items;
  const std::vector<int> sorted = items;
  Random(1).Shuffle(items);
  Random(1).Shuffle(again);
  Random(2).Shuffle(other);
  EXPECT_EQ(items, again);
  EXPECT_NE(items, other);
  EXPECT_NE(items, sorted);
  EXPECT_TRUE(std::is_permutation(items.begin(), items.end(), sorted.begin()));
}

}  // namespace
}  // namespace trivium::base
