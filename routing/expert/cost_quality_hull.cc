// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/cost_quality_hull.h"

#include <algorithm>
#include <limits>

namespace trivium::routing {
namespace {

// Whether `middle` lies on or below the line from `left` to `right`.
bool AddsNothing(const CostQuality& left, const CostQuality& middle, const CostQuality& right) {
  return (middle.quality - left.quality) * (right.cost - left.cost) <=
         (right.quality - left.quality) * (middle.cost - left.cost);
}

}  // namespace

double AverageQuality(std::vector<CostQuality> points, double budget) {
  if (!(budget > 0)) return std::numeric_limits<double>::quiet_NaN();
  points.push_back({0, 0});
  std::sort(points.begin(), points.end(), [](const CostQuality& a, const CostQuality& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.quality > b.quality;
  });
  std::vector<CostQuality> hull;
  for (const CostQuality& point : points) {
    if (!hull.empty() && point.quality <= hull.back().quality) continue;  // dearer and no better
    while (hull.size() >= 2 && AddsNothing(hull[hull.size() - 2], hull.back(), point)) hull.pop_back();
    hull.push_back(point);
  }
  double area = 0;
  for (std::size_t i = 1; i < hull.size() && hull[i - 1].cost < budget; ++i) {
    const CostQuality &left = hull[i - 1], &right = hull[i];
    const double cost = std::min(right.cost, budget);
    const double slope = (right.quality - left.quality) / (right.cost - left.cost);
    area += (cost - left.cost) * (left.quality + slope * (cost - left.cost) / 2);
  }
  area += std::max(0.0, budget - hull.back().cost) * hull.back().quality;
  return area / budget;
}

}  // namespace trivium::routing
