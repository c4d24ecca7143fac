// SPDX-License-Identifier: Apache-2.0
// What routers that name a query's expert learn from pilots: one class for each expert that any pilot knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "routing/expert/pilot_set.h"

namespace trivium::routing {

inline constexpr std::uint32_t kNoClass = 0xFFFFFFFF;

struct ClassTargets {
  std::size_t classes = 0;
  std::vector<std::uint32_t> class_of;  // of each expert: its class; kNoClass = unknown
  std::vector<float> targets;           // n x classes: whose query each pilot is, as shares
  std::vector<float> weights;           // n: as BalancedWeights, but 0 for a pilot without a class
  std::vector<float> counts;            // classes: pilots, as they count
  bool any = false;                     // a weight is above 0
};

// Classes are numbered in the order of their experts. Shares are raised to `owner_power`, see RouterOptions.
// O(pilots x experts).
ClassTargets ClassTargetsOf(const PilotSet& pilots, float class_balance, float owner_power);

// Whether any pilot has several owners, so that the power matters.
bool HasSeveralOwners(const PilotSet& pilots);

// Each expert's share of its class in `shares`, and the standard deviation of a share among as many pilots as
// the class had (`counts`). Both NaN for an expert without a class.
void GiveShares(absl::Span<const std::uint32_t> class_of, absl::Span<const float> shares,
                absl::Span<const float> counts, absl::Span<float> utility, absl::Span<float> uncertainty);

}  // namespace trivium::routing
