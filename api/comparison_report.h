// SPDX-License-Identifier: Apache-2.0
// From what every way of answering did, query by query, to what an evaluation reports of it.
#pragma once

#include <vector>

#include "api/answer_comparison.h"
#include "api/route_flips.h"
#include "trivium/report.h"

namespace trivium {

// What was compared on one query set.
struct ComparedSet {
  std::vector<ComparedQuery> queries;  // as SetMetrics::outcomes
  RouteFlips flips;
};

// Fills `compare` and the outcomes' `compared` of every set, `compare` of the macro average, and `routers`.
// `report->sets` have their outcomes, with `clean` where training was given; `compared`: one for each of
// them.
void ReportComparison(const ComparedWays& ways, const std::vector<ComparedSet>& compared, int thread_count,
                      EvaluationReport* report);

}  // namespace trivium
