// SPDX-License-Identifier: Apache-2.0
#include "index/prune_rule.h"

#include <algorithm>

namespace trivium::index {
namespace {

// Kept neighbours compared in one call: the nearest ones drop a candidate most often, so comparing with all
// of them at once would waste most of the work.
constexpr std::size_t kChunk = 8;

bool AnyNearer(const BuildSpace& space, const PruneCandidate& candidate,
               const std::vector<std::uint32_t>& kept, float squared_alpha, float* distances) {
  for (std::size_t first = 0; first < kept.size(); first += kChunk) {
    const std::size_t count = std::min(kChunk, kept.size() - first);
    space.Distances(candidate.vertex, kept.data() + first, count, distances);
    for (std::size_t i = 0; i < count; ++i) {
      if (squared_alpha * distances[i] <= candidate.distance) return true;
    }
  }
  return false;
}

}  // namespace

void RobustPrune(const BuildSpace& space, const std::vector<PruneCandidate>& candidates, float alpha,
                 std::size_t degree_bound, PruneScratch* scratch, std::vector<std::uint32_t>* kept) {
  const float squared_alpha = alpha * alpha;
  scratch->distances.resize(kChunk);
  scratch->unsettled.clear();
  kept->clear();
  for (const PruneCandidate& candidate : candidates) {
    if (kept->size() == degree_bound) return;
    const std::vector<std::uint32_t>& rivals = candidate.settled ? scratch->unsettled : *kept;
    if (AnyNearer(space, candidate, rivals, squared_alpha, scratch->distances.data())) continue;
    kept->push_back(candidate.vertex);
    if (!candidate.settled) scratch->unsettled.push_back(candidate.vertex);
  }
}

}  // namespace trivium::index
