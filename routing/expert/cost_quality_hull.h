// SPDX-License-Identifier: Apache-2.0
// What a router gives over all budgets, as one number.
#pragma once

#include <vector>

namespace trivium::routing {

struct CostQuality {
  double cost = 0;  // >= 0
  double quality = 0;
};

// The mean quality over budgets from 0 to `budget`, where for each budget the best is done with it: the area
// under the non-decreasing concave hull of (0, 0) and `points`, over `budget`. Between two points of the hull
// a share of the queries is answered by either; beyond the best point the rest of the budget is left unspent.
// NaN where `budget` is not above 0.
//
// Source:  Hu et al. 2024 (RouterBench), AIQ.
// Differs: the range of costs is given, not that of the points.
// Cost:    O(n log n).
double AverageQuality(std::vector<CostQuality> points, double budget);

}  // namespace trivium::routing
