// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/class_targets.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "routing/expert/pilot_weights.h"

namespace trivium::routing {

namespace {

void Sharpen(float power, std::vector<float>* shares) {
  if (power == 1) return;
  const float largest = *std::max_element(shares->begin(), shares->end());
  float sum = 0;
  for (float& share : *shares) {
    share = std::pow(share / largest, power);
    sum += share;
  }
  for (float& share : *shares) share /= sum;
}

}  // namespace

bool HasSeveralOwners(const PilotSet& pilots) {
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    const absl::Span<const float> owners = pilots.owners(i);
    if (std::count_if(owners.begin(), owners.end(), [](float share) { return share > 0; }) > 1) return true;
  }
  return false;
}

ClassTargets ClassTargetsOf(const PilotSet& pilots, float class_balance, float owner_power) {
  const std::size_t expert_count = pilots.expert_count();
  ClassTargets found;
  found.class_of.assign(expert_count, kNoClass);
  for (std::size_t e = 0; e < expert_count; ++e) {
    for (std::size_t i = 0; i < pilots.size(); ++i) {
      if (!(pilots.weight(i) > 0) || std::isnan(pilots.utilities(i)[e])) continue;
      found.class_of[e] = static_cast<std::uint32_t>(found.classes++);
      break;
    }
  }
  found.weights = BalancedWeights(pilots, class_balance);
  found.targets.assign(pilots.size() * found.classes, 0.0f);
  found.counts.assign(found.classes, 0.0f);
  std::vector<float> shares;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    if (!ClassShares(pilots, i, &shares)) {
      found.weights[i] = 0;
      continue;
    }
    Sharpen(owner_power, &shares);
    found.any = found.any || found.weights[i] > 0;
    for (std::size_t e = 0; e < expert_count; ++e) {
      const std::uint32_t own = found.class_of[e];
      if (own == kNoClass) continue;
      found.targets[i * found.classes + own] = shares[e];
      found.counts[own] += pilots.weight(i) * shares[e];
    }
  }
  return found;
}

void GiveShares(absl::Span<const std::uint32_t> class_of, absl::Span<const float> shares,
                absl::Span<const float> counts, absl::Span<float> utility, absl::Span<float> uncertainty) {
  for (std::size_t e = 0; e < class_of.size(); ++e) {
    const std::uint32_t own = class_of[e];
    const bool known = own != kNoClass;
    utility[e] = known ? shares[own] : std::numeric_limits<float>::quiet_NaN();
    uncertainty[e] = known ? std::sqrt(shares[own] * (1 - shares[own]) / (counts[own] + 1))
                           : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace trivium::routing
