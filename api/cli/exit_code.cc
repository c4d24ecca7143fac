// SPDX-License-Identifier: Apache-2.0
#include "api/cli/exit_code.h"

namespace trivium::cli {

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return kExitDone;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kOutOfRange:
      return kExitBadInput;
    case absl::StatusCode::kNotFound:
      return kExitNotFound;
    case absl::StatusCode::kDataLoss:
      return kExitCorrupt;
    case absl::StatusCode::kResourceExhausted:
      return kExitExhausted;
    case absl::StatusCode::kUnavailable:
      return kExitLocked;
    case absl::StatusCode::kCancelled:
      return kExitInterrupted;
    default:  // codes that mean nothing more to a shell than that it failed
      return kExitFailed;
  }
}

}  // namespace trivium::cli
