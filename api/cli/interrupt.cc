// SPDX-License-Identifier: Apache-2.0
#include "api/cli/interrupt.h"

#include <signal.h>

namespace trivium::cli {
namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may only touch lock-free atomics");

void HandleSignal(int) { interrupted.store(true, std::memory_order_relaxed); }

}  // namespace

void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = HandleSignal;
  action.sa_flags = SA_RESETHAND;  // the second one ends the process
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

const std::atomic<bool>& Interrupted() { return interrupted; }

absl::Status CheckInterrupt() {
  return interrupted.load(std::memory_order_relaxed) ? absl::CancelledError("interrupted") : absl::OkStatus();
}

}  // namespace trivium::cli
