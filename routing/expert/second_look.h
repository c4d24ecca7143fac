// SPDX-License-Identifier: Apache-2.0
// What the first results say about whose query it is: an expert whose best hit is nearer than was to be
// expected is more probably the right one. Costs no search: the results are those of the experts chosen.
//
//   revised_e ~ p_e ^ route_weight * exp(score_weight * s_e + bias_e)
//
// over the chosen experts that found something, p_e the route's probability, s_e the score of e's best hit.
// Where even the most probable of them is not sure, more experts are asked.
//
// Source:  conditional logit (McFadden 1974); that scores of first results help to route: RAGRouter.
// Differs: two numbers and one an expert instead of a network, read after the search instead of before it.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "routing/expert/dispatch_policy.h"

namespace trivium::routing {

struct SecondLook {
  float route_weight = 1;   // of log probabilities
  float score_weight = 0;   // of the score of the best hit
  std::vector<float> bias;  // one for each column of the router
  float prior_weight = 0;   // >= 0; scores of hits get this much of the log of their expert's revised share
  // Where the largest revised share is below this, [0, 1], experts are chosen again by the policy with these
  // limits where they are wider. 0: never.
  float widen_below = 0;
  float wider_top_p = 1;
  std::size_t wider_max_experts = 0;  // 0: no cap
};

// `policy` with the wider of both limits.
DispatchOptions Wider(DispatchOptions policy, const SecondLook& look);

// Fills `revised` of the chosen experts that have a score: shares of what their probabilities sum to, at most
// 1. One of which nothing is known, without a utility or a column, gets the largest, so that nothing is held
// against it.
//   scores   one for each expert, NaN: found nothing, or is not to be compared
//   columns  where each expert's bias stands, < 0: nowhere; empty: in its own place
// Returns the largest share, of 1; 1 where fewer than two are known and have a score. O(chosen).
float Revise(const SecondLook& look, absl::Span<const float> scores, absl::Span<const int> columns,
             Dispatch* dispatch);

}  // namespace trivium::routing
