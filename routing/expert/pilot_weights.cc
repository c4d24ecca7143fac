// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/pilot_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace trivium::routing {

void MarkBestExperts(absl::Span<const float> utilities, std::vector<unsigned char>* best) {
  float highest = 0;
  for (float u : utilities) {
    if (u > highest) highest = u;  // false for NaN
  }
  best->resize(utilities.size());
  for (std::size_t e = 0; e < utilities.size(); ++e) (*best)[e] = highest > 0 && utilities[e] == highest;
}

bool ClassShares(const PilotSet& pilots, std::size_t i, std::vector<float>* shares) {
  const absl::Span<const float> owners = pilots.owners(i);
  shares->assign(owners.begin(), owners.end());
  float sum = std::accumulate(shares->begin(), shares->end(), 0.0f);
  if (sum == 0) {
    std::vector<unsigned char> best;
    MarkBestExperts(pilots.utilities(i), &best);
    shares->assign(best.begin(), best.end());
    sum = std::accumulate(shares->begin(), shares->end(), 0.0f);
  }
  if (sum == 0) return false;
  for (float& share : *shares) share /= sum;
  return true;
}

std::vector<float> BalancedWeights(const PilotSet& pilots, float class_balance) {
  std::vector<float> shares;
  std::vector<double> counts(pilots.expert_count(), 0.0);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    ClassShares(pilots, i, &shares);
    for (std::size_t e = 0; e < shares.size(); ++e) counts[e] += shares[e];
  }
  std::vector<double> balance(pilots.size(), 0.0);
  std::vector<bool> has_class(pilots.size());
  double balance_sum = 0;
  std::size_t decided = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    has_class[i] = ClassShares(pilots, i, &shares);
    if (!has_class[i]) continue;
    for (std::size_t e = 0; e < shares.size(); ++e) {
      if (shares[e] > 0) balance[i] += shares[e] * std::pow(counts[e], -class_balance);
    }
    balance_sum += balance[i];
    ++decided;
  }
  const double average = decided > 0 ? balance_sum / static_cast<double>(decided) : 1.0;
  double sum = 0;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    if (!has_class[i]) balance[i] = average;
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
