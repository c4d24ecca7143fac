// SPDX-License-Identifier: Apache-2.0
#include "index/prune_rule.h"

#include <algorithm>

namespace trivium::index {

void RobustPrune(const BuildSpace& space, const std::vector<PruneCandidate>& candidates, float alpha,
                 std::size_t degree_bound, PruneScratch* scratch, std::vector<std::uint32_t>* kept) {
  const float squared_alpha = alpha * alpha;
  scratch->rivals.resize(candidates.size());
  scratch->distances.resize(candidates.size());
  // Those that no kept neighbour has dropped yet. All of them are compared with each new one in a single
  // call: as many distances as going through the kept ones for each candidate, in longer calls.
  std::vector<PruneCandidate>& left = scratch->left;
  left.assign(candidates.begin(), candidates.end());
  std::size_t unsettled = std::count_if(left.begin(), left.end(), [](const auto& c) { return !c.settled; });
  kept->clear();
  for (std::size_t next = 0; next < left.size(); ++next) {
    const PruneCandidate chosen = left[next];
    kept->push_back(chosen.vertex);
    if (kept->size() == degree_bound) return;
    if (!chosen.settled) --unsettled;
    if (chosen.settled && unsettled == 0) continue;

    const auto is_rival = [&](const PruneCandidate& other) { return !chosen.settled || !other.settled; };
    std::size_t count = 0;
    for (std::size_t i = next + 1; i < left.size(); ++i) {
      if (is_rival(left[i])) scratch->rivals[count++] = left[i].vertex;
    }
    space.Distances(chosen.vertex, scratch->rivals.data(), count, scratch->distances.data());
    const float* distance = scratch->distances.data();
    const auto is_dropped = [&](const PruneCandidate& other) {
      if (!is_rival(other) || squared_alpha * *distance++ > other.distance) return false;
      if (!other.settled) --unsettled;
      return true;
    };
    left.erase(std::remove_if(left.begin() + static_cast<std::ptrdiff_t>(next) + 1, left.end(), is_dropped),
               left.end());
  }
}

}  // namespace trivium::index
