// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "gtest/gtest.h"

namespace trivium::base {
namespace {

TEST(ParallelFor, VisitsEveryItemOnceWhateverTheThreadsAndGrain) {
  for (const std::size_t count : {0u, 1u, 7u, 1000u}) {
    for (const int threads : {0, 1, 2, 5}) {
      for (const std::size_t grain : {0u, 1u, 3u, 5000u}) {
        std::vector<std::atomic<int>> visits(count);
        std::atomic<bool> thread_in_range{true};
        ParallelFor(count, threads, grain, [&](std::size_t item, int thread) {
          ++visits[item];
          if (thread < 0 || thread >= std::max(threads, 1)) thread_in_range = false;
        });
        for (const auto& visit : visits) ASSERT_EQ(visit, 1);
        EXPECT_TRUE(thread_in_range);
      }
    }
  }
}

TEST(ParallelFor, RunsInOrderOnOneThread) {
  std::vector<std::size_t> order;
  ParallelFor(20, 1, 3, [&](std::size_t item, int) { order.push_back(item); });
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
  EXPECT_EQ(order.size(), 20u);
}

TEST(ResolveThreadCount, KeepsARequestAndFindsAtLeastOneProcessor) {
  EXPECT_EQ(ResolveThreadCount(3), 3);
  EXPECT_GE(ResolveThreadCount(0), 1);
  EXPECT_GE(ResolveThreadCount(-1), 1);
}

}  // namespace
}  // namespace trivium::base
