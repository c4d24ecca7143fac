// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/hop_oracle.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_graph.h"

namespace trivium::routing {
namespace {

constexpr std::uint32_t kNone = HopOracle::kNoVertex;

// Hops along the edges by relaxing all of them until nothing changes.
std::vector<int> SlowHops(const index::ProximityGraph& graph, const std::vector<std::uint32_t>& targets,
                          std::uint32_t hidden, int max_hops) {
  std::vector<int> hops(graph.size(), max_hops + 1);
  for (const std::uint32_t target : targets) {
    if (target != kNone) hops[target] = 0;
  }
  for (int round = 0; round < max_hops; ++round) {
    for (std::uint32_t v = 0; v < graph.size(); ++v) {
      if (v == hidden) continue;
      for (const std::uint32_t neighbor : graph.Neighbors(v)) {
        if (neighbor != hidden) hops[v] = std::min(hops[v], hops[neighbor] + 1);
      }
    }
  }
  return hops;
}

TEST(HopOracle, EqualsRelaxationOfAllEdges) {
  HopScratch scratch;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const index::ProximityGraph graph = testing_support::RandomGraph(300, 4, seed);
    const HopOracle oracle(graph);
    std::vector<std::uint32_t> all(300);
    std::iota(all.begin(), all.end(), 0u);
    for (const std::size_t max_hops : {1u, 3u, 20u}) {
      for (const std::uint32_t hidden : {kNone, 17u}) {
        const std::vector<std::uint32_t> targets = {5, kNone, 99};
        std::vector<std::uint8_t> hops(300);
        oracle.Hops(targets, all, hidden, max_hops, &scratch, hops.data());
        const std::vector<int> slow = SlowHops(graph, targets, hidden, static_cast<int>(max_hops));
        for (std::size_t v = 0; v < 300; ++v) EXPECT_EQ(hops[v], slow[v]) << v;
      }
    }
  }
}

// It ends as soon as all that was asked for is met; what it leaves behind must not change the next answer.
TEST(HopOracle, AnswersForFewVerticesAsForAll) {
  const index::ProximityGraph graph = testing_support::RandomGraph(500, 6, 3);
  const HopOracle oracle(graph);
  HopScratch scratch;
  const std::vector<int> slow = SlowHops(graph, {7}, kNone, 10);
  for (std::uint32_t v = 0; v < 500; ++v) {
    const std::vector<std::uint32_t> targets = {7}, few = {v, (v + 250) % 500};
    std::uint8_t hops[2];
    oracle.Hops(targets, few, kNone, 10, &scratch, hops);
    EXPECT_EQ(hops[0], slow[few[0]]);
    EXPECT_EQ(hops[1], slow[few[1]]);
  }
}

}  // namespace
}  // namespace trivium::routing
