// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/calibration_error.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace trivium::routing {

double CalibrationError(std::vector<Forecast> forecasts, std::size_t bin_count) {
  if (forecasts.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(forecasts.begin(), forecasts.end(),
            [](const Forecast& a, const Forecast& b) { return a.probability < b.probability; });
  double error = 0;
  std::size_t begin = 0;
  for (std::size_t bin = 1; bin <= bin_count; ++bin) {
    std::size_t end = std::max(begin, forecasts.size() * bin / bin_count);
    while (end > begin && end < forecasts.size() &&
           forecasts[end].probability == forecasts[end - 1].probability) {
      ++end;
    }
    double difference = 0;  // sum of probabilities minus how many happened
    for (; begin < end; ++begin)
      difference += forecasts[begin].probability - (forecasts[begin].happened ? 1 : 0);
    error += std::abs(difference);
  }
  return error / static_cast<double>(forecasts.size());
}

}  // namespace trivium::routing
