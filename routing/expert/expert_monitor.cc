// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/expert_monitor.h"

#include <algorithm>

namespace trivium::routing {

void ExpertMonitor::Observe(double predicted, double observed) {
  predicted = std::clamp(predicted, 0.0, 1.0);
  observed = std::clamp(observed, 0.0, 1.0);
  ++count_;
  predicted_ += predicted;
  observed_ += observed;
  capital_ = std::max(capital_, 1.0) * (1.0 + std::min(predicted, kMostPredicted) / 2 - observed);
}

}  // namespace trivium::routing
