// SPDX-License-Identifier: Apache-2.0
// Runs independent items on a few threads; the threads end with the call, none is kept.
#pragma once

#include <cstddef>
#include <functional>

namespace trivium::base {

// `requested` if positive, otherwise the number of processors this process may use (at least 1).
int ResolveThreadCount(int requested);

// Calls `work(item, thread)` once for every item in [0, count), thread in [0, thread_count); items are dealt
// in blocks of `grain` as threads become free. Returns when all are done. `work` must not throw. With one
// thread everything runs on the caller's, in order.
void ParallelFor(std::size_t count, int thread_count, std::size_t grain,
                 const std::function<void(std::size_t item, int thread)>& work);

}  // namespace trivium::base
