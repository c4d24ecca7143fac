// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/second_look.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trivium::routing {
DispatchOptions Wider(DispatchOptions policy, const SecondLook& look) {
  policy.top_p = std::max(policy.top_p, look.wider_top_p);
  const bool capped = policy.max_experts > 0 && look.wider_max_experts > 0;
  policy.max_experts = capped ? std::max(policy.max_experts, look.wider_max_experts) : 0;
  return policy;
}

float Revise(const SecondLook& look, absl::Span<const float> scores, absl::Span<const int> columns,
             Dispatch* dispatch) {
  const auto column = [&](std::uint32_t e) { return columns.empty() ? static_cast<int>(e) : columns[e]; };
  float highest = -std::numeric_limits<float>::infinity();
  float total = 0;
  std::size_t known = 0;
  for (const std::uint32_t e : dispatch->chosen) {
    ExpertChoice& expert = dispatch->experts[e];
    expert.revised = std::numeric_limits<float>::quiet_NaN();
    if (std::isnan(scores[e])) continue;
    total += expert.probability;
    if (column(e) < 0 || std::isnan(expert.utility)) continue;
    expert.revised = look.route_weight * std::log(std::max(expert.probability, kSmallestProbability)) +
                     look.score_weight * scores[e] + look.bias[static_cast<std::size_t>(column(e))];
    highest = std::max(highest, expert.revised);
    ++known;
  }
  float sum = 0;
  for (const std::uint32_t e : dispatch->chosen) {
    float& revised = dispatch->experts[e].revised;
    if (std::isnan(revised)) continue;
    revised = std::exp(revised - highest);
    sum += revised;
  }
  if (known == 0) return 1;
  total = std::min(total, 1.0f);  // rounded sums may exceed it
  for (const std::uint32_t e : dispatch->chosen) {
    float& revised = dispatch->experts[e].revised;
    if (!std::isnan(revised)) {
      revised *= total / sum;
    } else if (!std::isnan(scores[e])) {
      revised = total / sum;
    }
  }
  return known > 1 ? 1 / sum : 1;
}

}  // namespace trivium::routing
