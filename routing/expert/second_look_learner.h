// SPDX-License-Identifier: Apache-2.0
// Learns from judged queries how much the scores of first results say about whose query each is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "routing/expert/second_look.h"

namespace trivium::routing {

// One expert that was asked for a query and found something.
struct LookedAt {
  std::uint32_t column = 0;
  float log_probability = 0;  // of the route
  float score = 0;            // of its best hit
  float share = 0;  // of the query, see ClassShares; what is missing to 1 belongs to experts not asked
};

struct LookedQuery {
  std::vector<LookedAt> experts;
  float weight = 0;  // >= 0
};

// Minimises the weighted mean of the cross-entropy between the shares, made to sum to 1, and the revised
// shares, plus a small ridge towards the route's own probabilities. Queries of which nobody asked owns
// anything teach nothing. Sets route_weight, score_weight and bias, by descent with the curvature of each
// block: the loss is convex. The same on every run. Cost: at most some hundred passes over the queries.
SecondLook LearnSecondLook(absl::Span<const LookedQuery* const> queries, std::size_t column_count);

// What LearnSecondLook minimises, without the ridge: for tests.
double SecondLookLoss(absl::Span<const LookedQuery* const> queries, const SecondLook& look);

}  // namespace trivium::routing
