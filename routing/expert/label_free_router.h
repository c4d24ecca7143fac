// SPDX-License-Identifier: Apache-2.0
// Base of routers that learn from facts about experts instead of from pilots.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

class LabelFreeRouter : public ExpertRouter {
 public:
  bool IsLabelFree() const final { return true; }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) final {
    return absl::FailedPreconditionError(
        absl::StrFormat("router %s: %d pilots, expected facts about the experts", name(), pilots.size()));
  }
};

}  // namespace trivium::routing
