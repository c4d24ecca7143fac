// SPDX-License-Identifier: Apache-2.0
// What a user's reaction to an answer says about the experts that gave it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

// One hit of the answer.
struct ShownDocument {
  float gain = 0;                      // 1 where the user found it relevant or clicked it, else 0
  std::vector<std::uint32_t> finders;  // the experts asked that hold it
};

inline constexpr std::size_t kObservedDepth = 10;  // hits that count

// For each of `expert_count` experts the nDCG of its part of the answer: the documents that it holds, in the
// answer's order, against the best order of all documents with a gain. NaN: it was not asked.
//   shown  best first; those after kObservedDepth are ignored
//   asked  indices below `expert_count`
// Experts that hold the same documents share the credit: the answer does not tell which of them would have
// found one alone. 0 for everybody asked where nothing had a gain. Larger than the true nDCG where relevant
// documents were not shown, in the same proportion for all.
std::vector<float> ObservedUtilities(absl::Span<const ShownDocument> shown,
                                     absl::Span<const std::uint32_t> asked, std::size_t expert_count);

// How much such a pilot counts, for the share of probability (0 to 1) that the experts asked had: what was a
// rare sight stands for more that was not seen (inverse propensity), clipped at kLargestPropensityWeight.
inline constexpr float kLargestPropensityWeight = 2.0f;
float PropensityWeight(double probability_asked);

}  // namespace trivium::routing
