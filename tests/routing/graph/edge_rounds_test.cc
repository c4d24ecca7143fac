// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/edge_rounds.h"

#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/taught_world.h"

namespace trivium::routing {
namespace {

using testing_support::GraphWords;
using testing_support::TaughtWorld;

const TaughtWorld& TheWorld() {
  static const TaughtWorld* const world = new TaughtWorld(2200, 32, 16, 400);
  return *world;
}

const QueryAnswers& TheAnswers() {
  static const QueryAnswers* const answers = [] {
    index::SearchableRows plain = TheWorld().searchable();
    plain.edge_codes = nullptr;
    return new QueryAnswers(*FindAnswers(plain, TheWorld().queries.view(), 16, 1, nullptr));
  }();
  return *answers;
}

// Rounds judged by what `ratios` say, one after the other.
absl::Status Learn(const std::vector<double>& ratios, EdgeRounds* rounds) {
  EdgeLearningOptions options;
  options.rounds = 5;
  return LearnInRounds(
      TheWorld().rows.view(), TaughtWorld::kMetric, TheAnswers(), {}, options,
      [&](const index::ProximityGraph&) -> absl::StatusOr<double> { return ratios[rounds->curve.size()]; },
      nullptr, rounds);
}

std::vector<std::uint32_t> AfterRounds(int count, LearnedEdges* learned) {
  index::ProximityGraph graph(TheWorld().graph.words(), TheWorld().graph.size(),
                              TheWorld().graph.degree_bound(), TheWorld().graph.entry());
  EdgeLearningOptions options;
  options.rounds = count;
  const auto edges =
      LearnEdges(TheWorld().rows.view(), TaughtWorld::kMetric, TheAnswers(), {}, options, &graph);
  EXPECT_OK(edges);
  *learned = *edges;
  return GraphWords(graph);
}

TEST(LearnInRounds, KeepsTheBestRoundAndEndsAfterTheFirstThatDoesNotImprove) {
  EdgeRounds rounds(TheWorld().graph);
  ASSERT_OK(Learn({0.9, 0.8, 0.8, 0.1, 0.1}, &rounds));
  EXPECT_EQ(rounds.curve, (std::vector<double>{0.9, 0.8, 0.8}));
  LearnedEdges learned;
  EXPECT_EQ(GraphWords(rounds.best), AfterRounds(2, &learned));
  EXPECT_EQ(rounds.best_edges.added, learned.added);
  EXPECT_GT(rounds.learning.edges.added, learned.added);  // the third round did learn something
}

TEST(LearnInRounds, KeepsTheFirstRoundWhereTheSecondIsWorse) {
  EdgeRounds rounds(TheWorld().graph);
  ASSERT_OK(Learn({1.2, 1.3, 0.1, 0.1, 0.1}, &rounds));
  EXPECT_EQ(rounds.curve, (std::vector<double>{1.2, 1.3}));
  LearnedEdges learned;
  EXPECT_EQ(GraphWords(rounds.best), AfterRounds(1, &learned));
}

TEST(LearnInRounds, AreAtMostAsManyAsWanted) {
  EdgeRounds rounds(TheWorld().graph);
  ASSERT_OK(Learn({0.9, 0.8, 0.7, 0.6, 0.5}, &rounds));
  EXPECT_EQ(rounds.curve.size(), 5u);
  ASSERT_OK(Learn({}, &rounds));  // done already: nobody is asked
  EXPECT_EQ(rounds.curve.size(), 5u);
}

TEST(LearnInRounds, EndsWithTheErrorOfTheJudgeOrOfWhoSaves) {
  EdgeRounds rounds(TheWorld().graph);
  const auto learn = [&](bool judge_fails) {
    return LearnInRounds(
        TheWorld().rows.view(), TaughtWorld::kMetric, TheAnswers(), {}, {},
        [&](const index::ProximityGraph&) -> absl::StatusOr<double> {
          if (judge_fails) return absl::CancelledError("judge");
          return 0.5;
        },
        [](const EdgeRounds&) { return absl::ResourceExhaustedError("disk"); }, &rounds);
  };
  EXPECT_THAT(learn(true), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(rounds.curve.empty());
  EXPECT_THAT(learn(false), StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace trivium::routing
