// SPDX-License-Identifier: Apache-2.0
#include "index/prune_rule.h"

#include <algorithm>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::index {
namespace {

using ::testing::ElementsAre;
using testing_support::ClusteredVectors;

base::AlignedMatrix Line(const std::vector<float>& places) {
  base::AlignedMatrix rows(1);
  for (const float place : places) rows.Append(&place);
  return rows;
}

std::vector<PruneCandidate> Candidates(const BuildSpace& space, std::uint32_t vertex) {
  std::vector<PruneCandidate> candidates;
  for (std::uint32_t other = 0; other < space.size(); ++other) {
    if (other == vertex) continue;
    float distance;
    space.Distances(vertex, &other, 1, &distance);
    candidates.push_back({distance, other, false});
  }
  std::sort(candidates.begin(), candidates.end());
  return candidates;
}

std::vector<std::uint32_t> Prune(const BuildSpace& space, const std::vector<PruneCandidate>& candidates,
                                 float alpha, std::size_t degree_bound) {
  PruneScratch scratch;
  std::vector<std::uint32_t> kept;
  RobustPrune(space, candidates, alpha, degree_bound, &scratch, &kept);
  return kept;
}

// The rule word by word: every pair compared, in double.
std::vector<std::uint32_t> SlowPrune(base::MatrixView rows, const std::vector<PruneCandidate>& candidates,
                                     double alpha, std::size_t degree_bound) {
  std::vector<std::uint32_t> kept;
  for (const PruneCandidate& candidate : candidates) {
    if (kept.size() == degree_bound) break;
    bool dropped = false;
    for (const std::uint32_t other : kept) {
      const double between = testing_support::SlowDistance(base::Metric::kSquaredL2, rows.row(other),
                                                           rows.row(candidate.vertex), rows.columns);
      dropped = dropped || alpha * alpha * between <= candidate.distance;
    }
    if (!dropped) kept.push_back(candidate.vertex);
  }
  return kept;
}

TEST(RobustPrune, KeepsTheNearestOnEachSideWhenAlphaIsOne) {
  const auto rows = Line({0, 1, 2, 3, -1.5f, -4});
  const BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  EXPECT_THAT(Prune(space, Candidates(space, 0), 1.0f, 10), ElementsAre(1, 4));
}

TEST(RobustPrune, LargerAlphaKeepsLongerEdges) {
  const auto rows = Line({0, 1, 2, 3, -1.5f, -4});
  const BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  // 2 is kept while 2 x |1 - 2| > 2 is false; with alpha just above 2 it stays.
  EXPECT_THAT(Prune(space, Candidates(space, 0), 2.1f, 10), ElementsAre(1, 4, 2, 5));
}

TEST(RobustPrune, NeverKeepsMoreThanTheDegreeBound) {
  const auto rows = ClusteredVectors(200, 8, base::Metric::kSquaredL2, 3);
  const BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  EXPECT_EQ(Prune(space, Candidates(space, 0), 1.2f, 5).size(), 5u);
}

TEST(RobustPrune, AgreesWithTheRuleWordByWord) {
  const auto rows = ClusteredVectors(300, 6, base::Metric::kSquaredL2, 3);
  const BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  for (std::uint32_t vertex = 0; vertex < 30; ++vertex) {
    const auto candidates = Candidates(space, vertex);
    EXPECT_EQ(Prune(space, candidates, 1.1f, 16), SlowPrune(rows.view(), candidates, 1.1, 16));
  }
}

TEST(RobustPrune, SettledCandidatesChangeTheCostNotTheResult) {
  const auto rows = ClusteredVectors(300, 6, base::Metric::kSquaredL2, 3);
  const BuildSpace space(rows.view(), base::Metric::kSquaredL2);
  for (std::uint32_t vertex = 0; vertex < 30; ++vertex) {
    const auto all = Candidates(space, vertex);
    // The first half is pruned alone; then its survivors meet the second half.
    std::vector<PruneCandidate> half;
    for (const PruneCandidate& candidate : all) {
      if (candidate.vertex % 2 == 0) half.push_back(candidate);
    }
    const auto settled = Prune(space, half, 1.1f, 12);
    std::vector<PruneCandidate> marked, plain;
    for (PruneCandidate candidate : all) {
      const bool is_settled = std::find(settled.begin(), settled.end(), candidate.vertex) != settled.end();
      if (candidate.vertex % 2 == 0 && !is_settled) continue;
      plain.push_back(candidate);
      candidate.settled = is_settled;
      marked.push_back(candidate);
    }
    EXPECT_EQ(Prune(space, marked, 1.1f, 12), Prune(space, plain, 1.1f, 12));
  }
}

}  // namespace
}  // namespace trivium::index
