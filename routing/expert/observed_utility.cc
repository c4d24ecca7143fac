// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/observed_utility.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace trivium::routing {
namespace {

double DiscountAt(std::size_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 2); }

double IdealGain(absl::Span<const ShownDocument> shown) {
  std::vector<float> gains;
  for (const ShownDocument& document : shown) gains.push_back(document.gain);
  std::sort(gains.begin(), gains.end(), std::greater<>());
  double sum = 0;
  for (std::size_t rank = 0; rank < gains.size(); ++rank) sum += gains[rank] * DiscountAt(rank);
  return sum;
}

}  // namespace

std::vector<float> ObservedUtilities(absl::Span<const ShownDocument> shown,
                                     absl::Span<const std::uint32_t> asked, std::size_t expert_count) {
  shown = shown.subspan(0, kObservedDepth);
  const double ideal = IdealGain(shown);
  std::vector<float> utilities(expert_count, std::numeric_limits<float>::quiet_NaN());
  for (const std::uint32_t expert : asked) {
    double sum = 0;
    std::size_t rank = 0;
    for (const ShownDocument& document : shown) {
      const std::vector<std::uint32_t>& finders = document.finders;
      if (std::find(finders.begin(), finders.end(), expert) == finders.end()) continue;
      sum += document.gain * DiscountAt(rank++);
    }
    utilities[expert] = ideal > 0 ? static_cast<float>(sum / ideal) : 0.0f;
  }
  return utilities;
}

float PropensityWeight(double probability_asked) {
  const double smallest = 1.0 / kLargestPropensityWeight;
  return static_cast<float>(1.0 / std::clamp(probability_asked, smallest, 1.0));
}

}  // namespace trivium::routing
