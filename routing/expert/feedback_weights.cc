// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/feedback_weights.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "kernels/distance_table.h"

namespace trivium::routing {

float RepetitionWeight(base::MatrixView rows, absl::Span<const float> query) {
  std::vector<float> cosines(rows.rows);
  if (rows.rows > 0) {
    kernels::ActiveDistances().inner_product_f32_rows(query.data(), rows.data, rows.stride, rows.rows,
                                                      rows.columns, cosines.data());
  }
  const auto twins = std::count_if(cosines.begin(), cosines.end(),
                                   [](float cosine) { return cosine >= kTwinFeedbackCosine; });
  return std::min(1.0f, static_cast<float>(kFullTwins) / static_cast<float>(twins + 1));
}

std::vector<float> InfluenceWeights(absl::Span<const float> given, absl::Span<const std::uint64_t> sources,
                                    std::vector<unsigned char>* limited) {
  std::vector<float> weights(given.size());
  std::unordered_map<std::uint64_t, double> sums;  // of known sources
  double total = 0, largest = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const double age = static_cast<double>(given.size() - 1 - i);
    weights[i] = given[i] * static_cast<float>(std::exp2(-age / kFeedbackHalfLife));
    total += weights[i];
    largest = std::max<double>(largest, weights[i]);
    if (sources[i] != 0) sums[sources[i]] += weights[i];
  }
  // One feedback may always count: among few, the share of each is large anyway.
  const double allowed = std::max(largest, kLargestSourceShare * total);
  if (limited != nullptr) limited->assign(given.size(), 0);
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (sources[i] == 0) continue;
    const double sum = sums[sources[i]];
    if (sum <= allowed) continue;
    weights[i] *= static_cast<float>(allowed / sum);
    if (limited != nullptr) (*limited)[i] = 1;
  }
  return weights;
}

}  // namespace trivium::routing
