// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/hop_oracle.h"

#include <cassert>

namespace trivium::routing {
namespace {

// A mark: 0 for a vertex not met, else its hops + 1; the top bit says that somebody asks for it.
constexpr std::uint8_t kAsked = 128;
constexpr std::uint8_t kHidden = 127;

}  // namespace

HopOracle::HopOracle(const index::ProximityGraph& graph) : first_(graph.size() + 1, 0) {
  const auto size = static_cast<std::uint32_t>(graph.size());
  for (std::uint32_t v = 0; v < size; ++v) {
    for (const std::uint32_t neighbor : graph.Neighbors(v)) ++first_[neighbor + 1];
  }
  for (std::size_t v = 0; v < size; ++v) first_[v + 1] += first_[v];
  sources_.resize(first_[size]);
  std::vector<std::size_t> next(first_.begin(), first_.end() - 1);
  for (std::uint32_t v = 0; v < size; ++v) {
    for (const std::uint32_t neighbor : graph.Neighbors(v)) sources_[next[neighbor]++] = v;
  }
}

void HopOracle::Hops(std::span<const std::uint32_t> targets, std::span<const std::uint32_t> vertices,
                     std::uint32_t hidden, std::size_t max_hops, HopScratch* scratch,
                     std::uint8_t* hops) const {
  assert(max_hops <= kMostHops);
  std::vector<std::uint8_t>& marks = scratch->marks;
  std::vector<std::uint32_t>& queue = scratch->queue;
  if (marks.size() + 1 < first_.size()) marks.resize(first_.size() - 1, 0);
  queue.clear();
  for (const std::uint32_t vertex : vertices) marks[vertex] |= kAsked;
  std::size_t wanted = vertices.size();
  const auto meet = [&](std::uint32_t vertex, std::size_t hop) {
    std::uint8_t& mark = marks[vertex];
    if ((mark & ~kAsked) != 0) return;
    if ((mark & kAsked) != 0) --wanted;
    mark |= static_cast<std::uint8_t>(hop + 1);
    queue.push_back(vertex);
  };
  if (hidden != kNoVertex) marks[hidden] |= kHidden;
  for (const std::uint32_t target : targets) {
    if (target != kNoVertex) meet(target, 0);
  }
  std::size_t at = 0;
  for (std::size_t hop = 1; hop <= max_hops && wanted > 0; ++hop) {
    for (const std::size_t end = queue.size(); at < end && wanted > 0; ++at) {
      const std::uint32_t vertex = queue[at];
      for (std::size_t e = first_[vertex]; e < first_[vertex + 1]; ++e) meet(sources_[e], hop);
    }
  }
  for (std::size_t i = 0; i < vertices.size(); ++i) {
    const int mark = marks[vertices[i]] & ~kAsked;
    hops[i] = static_cast<std::uint8_t>(mark == 0 || mark == kHidden ? max_hops + 1 : mark - 1);
  }
  for (const std::uint32_t vertex : vertices) marks[vertex] = 0;
  for (const std::uint32_t vertex : queue) marks[vertex] = 0;
  if (hidden != kNoVertex) marks[hidden] = 0;
}

}  // namespace trivium::routing
