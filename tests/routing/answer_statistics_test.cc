// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_statistics.h"

#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(MacroMean, AveragesWithinSetsFirst) {
  const QuerySets sets = GroupBySet({4, 9, 4, 4});
  ASSERT_EQ(sets.size(), 2u);
  EXPECT_DOUBLE_EQ(MacroMean({0.3, 1.0, 0.6, 0.6}, sets), 0.75);
}

TEST(BootstrapGain, CoversTheTrueGainAboutNineteenTimesInTwenty) {
  base::Random random(2);
  int covered = 0;
  for (int round = 0; round < 200; ++round) {
    std::vector<double> values, baseline(80, 0.2), oracle(80, 1.2);
    std::vector<std::uint32_t> set;
    for (std::uint32_t i = 0; i < 80; ++i) {
      set.push_back(i % 2);
      values.push_back(0.2 + 0.1 + 0.3 * random.Normal());
    }
    const GainIntervals intervals = BootstrapGain(values, baseline, oracle, GroupBySet(set), 200, round);
    covered += intervals.gain.low <= 0.1 && 0.1 <= intervals.gain.high;
    EXPECT_LT(intervals.gain.low, intervals.gain.high);
    EXPECT_NEAR(intervals.oracle_share.low, intervals.gain.low, 1e-9);  // the oracle gains exactly 1
  }
  EXPECT_GE(covered, 175);
  EXPECT_LE(covered, 200);
}

TEST(BootstrapGain, ShareIsUndefinedWhereTheOracleGainsNothing) {
  const std::vector<double> same(10, 0.5);
  const GainIntervals intervals =
      BootstrapGain(same, same, same, GroupBySet(std::vector<std::uint32_t>(10, 0)), 50, 1);
  EXPECT_EQ(intervals.gain.low, 0);
  EXPECT_EQ(intervals.gain.high, 0);
  EXPECT_TRUE(std::isnan(intervals.oracle_share.low));
}

}  // namespace
}  // namespace trivium::routing
