// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_monitor.h"

#include <random>

#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(ExpertMonitor, NoticesOneThatNeverFindsAnything) {
  ExpertMonitor monitor;
  int bets = 0;
  for (; !monitor.failing(); ++bets) monitor.Observe(0.5, 0.0);
  EXPECT_EQ(bets, 42);
  EXPECT_DOUBLE_EQ(monitor.mean_predicted(), 0.5);
  EXPECT_DOUBLE_EQ(monitor.mean_observed(), 0.0);
}

TEST(ExpertMonitor, NoticesOneThatWasGoodForLong) {
  ExpertMonitor monitor;
  for (int i = 0; i < 1000; ++i) monitor.Observe(0.5, 1.0);
  EXPECT_FALSE(monitor.failing());
  for (int i = 0; i < 42; ++i) monitor.Observe(0.5, 0.0);
  EXPECT_TRUE(monitor.failing());
}

// Worst of the sound ones: worth exactly half of what was predicted, all or nothing. The bound on the mean is
// kAlarmCapital bets, so that within a tenth of that at most about one in ten alarms.
TEST(ExpertMonitor, SeldomTakesASoundExpertForAFailingOne) {
  std::mt19937 random(5);
  std::bernoulli_distribution found(0.25);
  int alarms = 0;
  constexpr int kExperts = 300, kBets = static_cast<int>(ExpertMonitor::kAlarmCapital) / 10;
  for (int expert = 0; expert < kExperts; ++expert) {
    ExpertMonitor monitor;
    bool alarm = false;
    for (int i = 0; i < kBets; ++i) {
      monitor.Observe(0.5, found(random) ? 1.0 : 0.0);
      alarm = alarm || monitor.failing();
    }
    alarms += alarm;
  }
  EXPECT_LE(alarms, kExperts / 10);
}

}  // namespace
}  // namespace trivium::routing
