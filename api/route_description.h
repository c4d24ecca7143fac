// SPDX-License-Identifier: Apache-2.0
// What an answer says of its route, and, when asked, why a trained router chose it.
#pragma once

#include "absl/status/statusor.h"
#include "api/query_vectors.h"
#include "api/searcher.h"
#include "trivium/search_result.h"

namespace trivium {

// Without an explanation. A route that was taken again is told as it was.
Route DescribeRoute(const Searcher& searcher, const Answer& answer);

// Empty where no router chose. Repeats the prediction once and the choice some 60 times; reads from the
// store's table the ten nearest pilots of a router that remembers pilots, all of one that does not.
// kDataLoss.
absl::StatusOr<RouteExplanation> ExplainRoute(const Searcher& searcher, const Answer& answer,
                                              QueryVectors* query, PlannerScratch* scratch);

}  // namespace trivium
