// SPDX-License-Identifier: Apache-2.0
// Whether probabilities mean what they say.
#pragma once

#include <cstddef>
#include <vector>

namespace trivium::routing {

struct Forecast {
  double probability = 0;
  bool happened = false;
};

// Expected calibration error: forecasts in order of their probability are dealt into `bin_count` bins of
// equally many, equal probabilities together; the mean over forecasts of |mean probability - share that
// happened| of their bin. 0 for a perfect forecaster (and never quite, for few forecasts: each bin's share is
// a sample); NaN without forecasts.
//
// Source:  Naeini, Cooper, Hauskrecht 2015, ECE.
// Differs: bins of equal mass instead of equal width, which leaves no bin of a handful.
// Cost:    O(n log n).
double CalibrationError(std::vector<Forecast> forecasts, std::size_t bin_count);

}  // namespace trivium::routing
