// SPDX-License-Identifier: Apache-2.0
#include "api/cli/guard_output.h"

#include "absl/strings/str_format.h"

namespace trivium::cli {

Json GuardToJson(const GuardReport& guard) {
  if (guard.queries == 0) return nullptr;
  return {{"enabled", guard.enabled},
          {"reason", guard.reason},
          {"queries", guard.queries},
          {"background", guard.background},
          {"threshold", guard.threshold},
          {"acceptance", guard.acceptance},
          {"rejection", guard.rejection},
          {"auroc", guard.auroc},
          {"auroc_interval", {guard.auroc_low, guard.auroc_high}}};
}

std::string GuardText(const GuardReport& guard) {
  if (guard.queries == 0) return "";
  return absl::StrFormat("guard: %s by default: %s\n", guard.enabled ? "on" : "off",
                         OneLine(guard.reason, 200));
}

}  // namespace trivium::cli
