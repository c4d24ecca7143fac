// SPDX-License-Identifier: Apache-2.0
// Ctrl-C as a flag that long work looks at. A second Ctrl-C ends the process at once.
#pragma once

#include <atomic>

#include "absl/status/status.h"

namespace trivium::cli {

// For commands whose work can be cancelled; the others keep the system's own reaction, which is to end.
void CatchInterrupts();

// Set from then on once SIGINT or SIGTERM came.
const std::atomic<bool>& Interrupted();

// kCancelled once interrupted.
absl::Status CheckInterrupt();

}  // namespace trivium::cli
