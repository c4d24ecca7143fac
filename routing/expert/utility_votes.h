// SPDX-License-Identifier: Apache-2.0
// Weighted votes for one expert's utility, and what they say beside the prior of PriorOf.
#pragma once

#include <algorithm>
#include <cmath>

namespace trivium::routing {

struct UtilityVotes {
  float weight = 0;
  float squared_weight = 0;
  float utility = 0;          // weight x utility
  float squared_utility = 0;  // weight x utility^2

  // Of a pilot that does not know the expert (NaN): nothing. Without branches, for loops over experts.
  void Add(float vote_weight, float value) {
    const bool votes = !std::isnan(value);
    const float w = votes ? vote_weight : 0.0f;
    const float u = votes ? value : 0.0f;
    weight += w;
    squared_weight += w * w;
    utility += w * u;
    squared_utility += w * u * u;
  }
};

// The mean of the votes and of `shrinkage` more votes for the prior; the prior where there are neither. NaN
// for an expert nobody knows, whose prior is NaN.
inline float ShrunkMean(const UtilityVotes& votes, float prior_mean, float shrinkage) {
  const float total = votes.weight + shrinkage;
  return std::isnan(prior_mean) || !(total > 0) ? prior_mean
                                                : (votes.utility + shrinkage * prior_mean) / total;
}

// One standard deviation of that mean. One more vote, of the prior's variance, keeps two pilots that agree by
// chance from looking certain.
inline float ErrorOfMean(const UtilityVotes& votes, float prior_variance) {
  const float mean = votes.weight > 0 ? votes.utility / votes.weight : 0.0f;
  const float spread = std::max(0.0f, votes.squared_utility - mean * votes.utility);
  const float variance = (spread + prior_variance) / (votes.weight + 1.0f);
  const float effective_count =
      votes.squared_weight > 0 ? votes.weight * votes.weight / votes.squared_weight : 0.0f;
  return std::sqrt(variance / std::max(effective_count, 1.0f));
}

}  // namespace trivium::routing
