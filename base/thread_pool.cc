// SPDX-License-Identifier: Apache-2.0
#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace trivium::base {

int ResolveThreadCount(int requested) {
  if (requested > 0) return requested;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) return std::max(1, CPU_COUNT(&allowed));
  return std::max(1u, std::thread::hardware_concurrency());
}

void ParallelFor(std::size_t count, int thread_count, std::size_t grain,
                 const std::function<void(std::size_t item, int thread)>& work) {
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t blocks = (count + grain - 1) / grain;
  const int threads = static_cast<int>(std::min<std::size_t>(std::max(thread_count, 1), blocks));
  std::atomic<std::size_t> next{0};
  const auto run = [&](int thread) {
    for (std::size_t block; (block = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
      const std::size_t end = std::min(count, (block + 1) * grain);
      for (std::size_t item = block * grain; item < end; ++item) work(item, thread);
    }
  };
  std::vector<std::thread> helpers;
  for (int thread = 1; thread < threads; ++thread) helpers.emplace_back(run, thread);
  run(0);
  for (std::thread& helper : helpers) helper.join();
}

}  // namespace trivium::base
