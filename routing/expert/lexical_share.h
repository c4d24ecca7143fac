// SPDX-License-Identifier: Apache-2.0
// How much the words of a query count beside its vectors: as much as they did for queries like it.
#pragma once

#include <cstddef>

#include "absl/types/span.h"
#include "routing/expert/dispatch_policy.h"

namespace trivium::routing {

// share = sum_e p_e w_e / sum_e p_e, over the experts whose weight is known; 0 where there are none.
//   weights  [0, 1] each: the best share of lexical experts in answers to the queries of an expert
//   columns  where each expert's weight stands, < 0: unknown; empty: in its own place
// Experts that join are left out: they are what the share is for.
inline float LexicalShare(absl::Span<const float> weights, absl::Span<const ExpertChoice> experts,
                          absl::Span<const int> columns = {}) {
  float sum = 0, total = 0;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    const int column = columns.empty() ? static_cast<int>(e) : columns[e];
    if (column < 0 || experts[e].reason == ChoiceReason::kJoins) continue;
    sum += experts[e].probability * weights[static_cast<std::size_t>(column)];
    total += experts[e].probability;
  }
  return total > 0 ? sum / total : 0.0f;
}

}  // namespace trivium::routing
