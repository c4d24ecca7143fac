// SPDX-License-Identifier: Apache-2.0
// What routers learn from a set of pilots before they look at any vector: which experts are best for a pilot,
// how much each pilot counts, and what each expert is worth on average.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "routing/expert/pilot_set.h"

namespace trivium::routing {

// 1 for every expert of highest known utility, where that is above zero; ties stay ties. `best`: E entries.
void MarkBestExperts(absl::Span<const float> utilities, std::vector<unsigned char>* best);

// Whose query pilot `i` is, as shares that sum to 1: of its owners where they are known, else of its best
// experts alike; false and all 0 where it has neither. `shares`: E entries.
bool ClassShares(const PilotSet& pilots, std::size_t i, std::vector<float>* shares);

// One weight a pilot, mean 1 over all: the pilot's own weight, divided by count ^ class_balance, where count
// is how many pilots are of its class (see ClassShares). A pilot without a class counts like an average one.
std::vector<float> BalancedWeights(const PilotSet& pilots, float class_balance);

// Per expert over its known utilities, under `weights`; NaN where none is known.
struct UtilityPrior {
  std::vector<float> mean;
  std::vector<float> variance;
  std::vector<float> effective_count;  // (sum w)^2 / sum w^2
};
UtilityPrior PriorOf(const PilotSet& pilots, absl::Span<const float> weights);

}  // namespace trivium::routing
