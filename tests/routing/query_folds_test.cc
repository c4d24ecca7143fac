// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/query_folds.h"

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(GroupedFolds, KeepGroupsTogetherAndBalanceEverySet) {
  std::vector<std::uint64_t> groups;
  std::vector<std::uint32_t> sets;
  for (std::uint32_t i = 0; i < 600; ++i) {
    groups.push_back(i / 3);
    sets.push_back(i < 450 ? 0 : 1);
  }
  const std::vector<std::uint32_t> folds = GroupedFolds(600, groups, sets, 5, 1);
  std::vector<int> count(10, 0);
  for (std::uint32_t i = 0; i < 600; ++i) {
    EXPECT_EQ(folds[i], folds[i - i % 3]);
    ++count[sets[i] * 5 + folds[i]];
  }
  for (int f = 0; f < 5; ++f) EXPECT_EQ(count[f], 90);
  for (int f = 5; f < 10; ++f) EXPECT_EQ(count[f], 30);
}

TEST(GroupedFolds, BreakUpAGroupThatWouldEmptyItsSet) {
  std::vector<std::uint64_t> groups(40, 7);
  for (std::uint32_t i = 30; i < 40; ++i) groups[i] = 100 + i / 2;
  const std::vector<std::uint32_t> folds = GroupedFolds(40, groups, {}, 4, 1);
  for (std::uint32_t f = 0; f < 4; ++f) {
    EXPECT_GE(std::count(folds.begin(), folds.begin() + 30, f), 5) << f;
  }
  for (std::uint32_t i = 30; i < 40; i += 2) EXPECT_EQ(folds[i], folds[i + 1]);
}

TEST(GroupedFolds, SmallSetsDoNotPileUpInOneFold) {
  std::vector<std::uint32_t> sets;
  for (std::uint32_t i = 0; i < 20; ++i) sets.push_back(i);
  const std::vector<std::uint32_t> folds = GroupedFolds(20, {}, sets, 5, 1);
  for (std::uint32_t f = 0; f < 5; ++f) EXPECT_EQ(std::count(folds.begin(), folds.end(), f), 4);
}

TEST(GroupedFolds, DependOnTheSeedOnly) {
  EXPECT_EQ(GroupedFolds(100, {}, {}, 3, 5), GroupedFolds(100, {}, {}, 3, 5));
  EXPECT_NE(GroupedFolds(100, {}, {}, 3, 5), GroupedFolds(100, {}, {}, 3, 6));
}

}  // namespace
}  // namespace trivium::routing
