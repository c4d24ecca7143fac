// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trivium::routing {

void MarkBestExperts(absl::Span<const float> utilities, std::vector<unsigned char>* best) {
  float highest = 0;
  for (float u : utilities) {
    if (u > highest) highest = u;  // false for NaN
  }
  best->resize(utilities.size());
  for (std::size_t e = 0; e < utilities.size(); ++e) (*best)[e] = highest > 0 && utilities[e] == highest;
}

std::vector<float> BalancedWeights(const PilotSet& pilots, float class_balance) {
  std::vector<unsigned char> best;
  std::vector<double> counts(pilots.expert_count(), 0.0);
  std::vector<double> tie_counts(pilots.size(), 0.0);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    MarkBestExperts(pilots.utilities(i), &best);
    tie_counts[i] = static_cast<double>(std::count(best.begin(), best.end(), 1));
    for (std::size_t e = 0; e < best.size(); ++e) {
      if (best[e]) counts[e] += 1.0 / tie_counts[i];
    }
  }
  std::vector<double> balance(pilots.size(), 0.0);
  double balance_sum = 0;
  std::size_t decided = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    if (tie_counts[i] == 0) continue;
    MarkBestExperts(pilots.utilities(i), &best);
    for (std::size_t e = 0; e < best.size(); ++e) {
      if (best[e]) balance[i] += std::pow(counts[e], -class_balance) / tie_counts[i];
    }
    balance_sum += balance[i];
    ++decided;
  }
  const double average = decided > 0 ? balance_sum / static_cast<double>(decided) : 1.0;
  double sum = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    if (tie_counts[i] == 0) balance[i] = average;
    balance[i] *= pilots.weight(i);
    sum += balance[i];
  }
  std::vector<float> weights(pilots.size());
  const double scale = sum > 0 ? static_cast<double>(pilots.size()) / sum : 0.0;
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(balance[i] * scale);
  return weights;
}

UtilityPrior PriorOf(const PilotSet& pilots, absl::Span<const float> weights) {
  constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
  const std::size_t expert_count = pilots.expert_count();
  UtilityPrior prior;
  prior.mean.assign(expert_count, kUnknown);
  prior.variance.assign(expert_count, kUnknown);
  prior.effective_count.assign(expert_count, 0.0f);
  for (std::size_t e = 0; e < expert_count; ++e) {
    double w = 0, w2 = 0, wu = 0, wu2 = 0;
    for (std::size_t i = 0; i < pilots.size(); ++i) {
      const double u = pilots.utilities(i)[e];
      if (std::isnan(u)) continue;
      w += weights[i];
      w2 += static_cast<double>(weights[i]) * weights[i];
      wu += weights[i] * u;
      wu2 += weights[i] * u * u;
    }
    if (w <= 0) continue;
    prior.mean[e] = static_cast<float>(wu / w);
    prior.variance[e] = static_cast<float>(std::max(0.0, wu2 / w - (wu / w) * (wu / w)));
    prior.effective_count[e] = static_cast<float>(w * w / w2);
  }
  return prior;
}

}  // namespace trivium::routing
