// SPDX-License-Identifier: Apache-2.0
// What the shell learns from a status.
#pragma once

#include "absl/status/status.h"

namespace trivium::cli {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitBadInput = 2;
constexpr int kExitNotFound = 3;
constexpr int kExitCorrupt = 4;
constexpr int kExitExhausted = 5;  // space or memory
constexpr int kExitLocked = 6;     // another process writes the store
constexpr int kExitInterrupted = 130;

int ExitCode(const absl::Status& status);

}  // namespace trivium::cli
