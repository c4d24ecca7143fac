// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/balanced_sampler.h"

#include <map>
#include <set>

#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(BalancedSampler, HearsASmallSetAsOftenAsALargeOne) {
  std::vector<std::uint32_t> large;
  for (std::uint32_t i = 10; i < 1010; ++i) large.push_back(i);
  BalancedSampler sampler({{1, 2}, large}, 3);
  int small_draws = 0;
  for (int i = 0; i < 10'000; ++i) small_draws += sampler.Next() < 10 ? 1 : 0;
  EXPECT_NEAR(small_draws, 5'000, 250);  // five standard deviations
}

TEST(BalancedSampler, DealsASetOutBeforeAnItemComesAgain) {
  BalancedSampler sampler({{5, 6, 7, 8}}, 4);
  std::set<std::vector<std::uint32_t>> orders;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::uint32_t> dealt;
    for (int i = 0; i < 4; ++i) dealt.push_back(sampler.Next());
    EXPECT_EQ(std::set<std::uint32_t>(dealt.begin(), dealt.end()), (std::set<std::uint32_t>{5, 6, 7, 8}));
    orders.insert(dealt);
  }
  EXPECT_GT(orders.size(), 10u);  // of 24
}

TEST(BalancedSampler, IsTheSameForTheSameSeed) {
  BalancedSampler one({{1, 2, 3}, {4, 5}}, 9), same({{1, 2, 3}, {4, 5}}, 9), other({{1, 2, 3}, {4, 5}}, 10);
  bool differs = false;
  for (int i = 0; i < 40; ++i) {
    const std::uint32_t drawn = one.Next();
    EXPECT_EQ(drawn, same.Next());
    differs = differs || drawn != other.Next();
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace trivium::routing
