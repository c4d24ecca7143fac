// SPDX-License-Identifier: Apache-2.0
// The trainer of graphs and its parts, on rows in clusters and queries between these.
#include "routing/graph/graph_trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_builder.h"
#include "routing/graph/edge_learner.h"
#include "routing/graph/entry_learner.h"
#include "routing/graph/query_answers.h"
#include "routing/graph/walk_costs.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/straddled_graph.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::StraddlingQueries;

using World = testing_support::StraddledGraph;
using testing_support::Words;

constexpr base::Metric kMetric = World::kMetric;
constexpr std::size_t kRows = World::kRows, kDimension = World::kDimension;

const World& TheWorld() { return World::Get(); }

index::ProximityGraph Copy(const index::ProximityGraph& graph) {
  index::ProximityGraph copy(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  copy.Resize(copy.size());
  return copy;
}

QueryAnswers Answers(std::size_t count = 16) {
  const World& world = TheWorld();
  auto answers = FindAnswers(world.searchable(), world.queries.view(), count, 1, nullptr);
  EXPECT_OK(answers);
  return *answers;
}

void ExpectSound(const index::ProximityGraph& graph) {
  std::vector<bool> reached(graph.size(), false);
  std::vector<std::uint32_t> queue = {graph.entry()};
  reached[graph.entry()] = true;
  for (std::size_t next = 0; next < queue.size(); ++next) {
    const auto neighbors = graph.Neighbors(queue[next]);
    const std::set<std::uint32_t> distinct(neighbors.begin(), neighbors.end());
    ASSERT_EQ(distinct.size(), neighbors.size());
    ASSERT_LE(neighbors.size(), graph.degree_bound());
    ASSERT_FALSE(distinct.contains(queue[next]));
    for (const std::uint32_t neighbor : neighbors) {
      if (!reached[neighbor]) queue.push_back(neighbor);
      reached[neighbor] = true;
    }
  }
  EXPECT_EQ(queue.size(), graph.size());
}

TEST(FindAnswers, FindsNearlyAllTrueNeighbours) {
  const World& world = TheWorld();
  const QueryAnswers answers = Answers(10);
  std::size_t found = 0;
  for (std::size_t i = 0; i < 200; ++i) {
    const auto expected = testing_support::SlowSearch(world.rows.view(), kMetric, world.queries.row(i), 10);
    const auto given = answers.AnswersOf(i);
    for (const auto& neighbor : expected)
      found += std::find(given.begin(), given.end(), neighbor.row) != given.end();
  }
  EXPECT_GE(found, 1970u);
}

TEST(LearnEdges, LeavesASoundGraphThatMissesLess) {
  const QueryAnswers answers = Answers();
  index::ProximityGraph graph = Copy(TheWorld().graph);
  const std::vector<std::uint32_t> entries = TheWorld().codes.Entries();
  EdgeLearningOptions options;
  options.rounds = 1;
  const auto first = LearnEdges(TheWorld().rows.view(), kMetric, answers, entries, options, &graph);
  ASSERT_OK(first);
  ExpectSound(graph);
  EXPECT_GT(first->missed, 0u);
  EXPECT_GT(first->added, 0u);
  EXPECT_GT(first->replaced, 0u);
  EXPECT_LE(first->replaced, first->added);
  const auto second = LearnEdges(TheWorld().rows.view(), kMetric, answers, entries, options, &graph);
  ASSERT_OK(second);
  EXPECT_LT(second->missed, 0.9 * first->missed);
}

TEST(LearnEdges, ReplacesNoMoreEdgesOfAVertexThanAllowed) {
  const index::ProximityGraph& before = TheWorld().graph;
  index::ProximityGraph graph = Copy(before);
  EdgeLearningOptions options;
  options.most_replaced = 2;
  ASSERT_OK(LearnEdges(TheWorld().rows.view(), kMetric, Answers(), {}, options, &graph));
  std::size_t lost_most = 0;
  for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
    const auto now = graph.Neighbors(vertex);
    std::size_t lost = 0;
    for (const std::uint32_t old : before.Neighbors(vertex))
      lost += std::find(now.begin(), now.end(), old) == now.end();
    lost_most = std::max(lost_most, lost);
  }
  EXPECT_EQ(lost_most, 2u);
}

TEST(LearnEdges, GivesTheSameGraphOnAnyNumberOfThreads) {
  const QueryAnswers answers = Answers();
  std::vector<std::uint32_t> expected;
  for (const int threads : {1, 2, 3}) {
    index::ProximityGraph graph = Copy(TheWorld().graph);
    EdgeLearningOptions options;
    options.thread_count = threads;
    ASSERT_OK(LearnEdges(TheWorld().rows.view(), kMetric, answers, {}, options, &graph));
    if (threads == 1) expected = Words(graph);
    EXPECT_EQ(Words(graph), expected) << threads;
  }
}

TEST(LearnEdges, ACancelledOneLeavesASoundGraph) {
  index::ProximityGraph graph = Copy(TheWorld().graph);
  const std::atomic<bool> cancelled{true};
  EdgeLearningOptions options;
  options.cancelled = &cancelled;
  EXPECT_THAT(LearnEdges(TheWorld().rows.view(), kMetric, Answers(), {}, options, &graph).status(),
              StatusIs(absl::StatusCode::kCancelled));
  ExpectSound(graph);
}

TEST(LearnEntries, AreDistinctRowsNearToTheQueries) {
  const World& world = TheWorld();
  const QueryAnswers answers = Answers();
  const std::vector<std::uint32_t> entries = LearnEntries(world.rows.view(), answers, 32, 7, 1);
  ASSERT_FALSE(entries.empty());
  EXPECT_LE(entries.size(), 32u);
  EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end()));
  EXPECT_EQ(std::set<std::uint32_t>(entries.begin(), entries.end()).size(), entries.size());
  EXPECT_LT(entries.back(), kRows);
  EXPECT_EQ(LearnEntries(world.rows.view(), answers, 32, 7, 3), entries);
  // Nearer to the queries than as many rows spread evenly.
  double learned = 0, spread = 0;
  for (std::size_t i = 0; i < world.queries.rows(); ++i) {
    double nearest = 2, nearest_spread = 2;
    for (std::size_t e = 0; e < entries.size(); ++e) {
      nearest = std::min(nearest, testing_support::SlowDistance(kMetric, world.queries.row(i),
                                                                world.rows.row(entries[e]), kDimension));
      nearest_spread = std::min(nearest_spread, testing_support::SlowDistance(
                                                    kMetric, world.queries.row(i),
                                                    world.rows.row(e * kRows / entries.size()), kDimension));
    }
    learned += nearest;
    spread += nearest_spread;
  }
  EXPECT_LT(learned, spread);
}

TEST(LearnEntries, OfFewQueriesAreAtMostAsMany) {
  const World& world = TheWorld();
  QueryAnswers few = Answers();
  few.queries = few.queries.First(3);
  EXPECT_LE(LearnEntries(world.rows.view(), few, 32, 7, 1).size(), 3u);
}

TEST(WalkCosts, AreThoseOfSearchesOneByOne) {
  const World& world = TheWorld();
  const base::MatrixView queries = world.queries.view().First(40);
  const auto truth = ScanNearest(world.searchable(), queries, 1, nullptr);
  ASSERT_OK(truth);
  const auto costs = WalkCosts::Measure(world.searchable(), *truth, 2, nullptr);
  ASSERT_OK(costs);
  for (const std::size_t width : {std::size_t{0}, std::size_t{5}}) {
    index::SearchParameters parameters;
    parameters.beam_width = kCostWidths[width];
    parameters.method = index::SearchMethod::kGraph;
    index::SearchScratch scratch;
    std::vector<base::Neighbor> found;
    index::SearchCounters counters;
    std::size_t hits = 0;
    for (std::size_t i = 0; i < queries.rows; ++i) {
      index::SearchRowsWithGraph(world.searchable(), queries.row(i), parameters, &scratch, &found, &counters);
      hits += testing_support::CountFound(
          found, testing_support::SlowSearch(world.rows.view(), kMetric, queries.row(i), 10));
    }
    EXPECT_NEAR(costs->Recall(width), hits / 400.0, 1e-9);
    EXPECT_NEAR(costs->Hops(width), counters.hops / 40.0, 1e-9);
  }
  // Between two widths, and beyond what they reach.
  const double between = (costs->Recall(2) + costs->Recall(3)) / 2;
  ASSERT_LT(costs->Recall(2), costs->Recall(3));
  EXPECT_NEAR(costs->HopsAt(between), std::sqrt(costs->Hops(2) * costs->Hops(3)), 1e-9);
  EXPECT_EQ(costs->HopsAt(0), costs->Hops(0));
  EXPECT_EQ(costs->HopsAt(2), costs->Hops(kCostWidths.size() - 1));
  const HopRatio same = CompareHops(*costs, *costs, 0.9, 1);
  EXPECT_EQ(same.ratio, 1);
  EXPECT_EQ(same.interval.low, 1);
  EXPECT_EQ(same.interval.high, 1);
}

TEST(TrainGraph, SavesHopsOnQueriesThatWereHeldOutAndMore) {
  const World& world = TheWorld();
  const std::vector<std::uint32_t> before = Words(world.graph);
  const auto trained = TrainGraph(world.searchable(), world.queries.view(), {});
  ASSERT_OK(trained);
  EXPECT_EQ(Words(world.graph), before);  // a copy was trained
  const GraphTrainingReport& report = trained->report;
  EXPECT_TRUE(report.accepted) << report.reason;
  EXPECT_LT(report.queries.interval.high, 1) << report.reason;
  EXPECT_TRUE(report.rows.ratio <= 1.01 || report.rows.interval.low <= 1) << report.reason;
  EXPECT_EQ(report.validation_queries, 240u);
  EXPECT_LE(report.training_queries + report.validation_queries, 1200u);
  EXPECT_GT(report.entries, 0u);
  EXPECT_LT(report.entries, trained->entries.size());  // the others are sampled ones
  ExpectSound(trained->graph);

  // On queries that the trainer never saw.
  const base::AlignedMatrix others = StraddlingQueries(world.rows.view(), 300, 99);
  index::SearchableRows taught = world.searchable();
  taught.graph = &trained->graph;
  taught.edge_codes = &*trained->codes;
  const auto truth = ScanNearest(world.searchable(), others.view(), 1, nullptr);
  ASSERT_OK(truth);
  const auto old_costs = WalkCosts::Measure(world.searchable(), *truth, 1, nullptr);
  const auto new_costs = WalkCosts::Measure(taught, *truth, 1, nullptr);
  ASSERT_OK(old_costs);
  ASSERT_OK(new_costs);
  EXPECT_LT(CompareHops(*old_costs, *new_costs, 0.95, 1).interval.high, 1);
}

TEST(TrainGraph, KeepsWhatUndoesAndRepeatsIt) {
  const World& world = TheWorld();
  const auto trained = TrainGraph(world.searchable(), world.queries.view(), {});
  ASSERT_OK(trained);
  const index::KeptTraining& kept = trained->kept;
  EXPECT_EQ(kept.queries.rows, kRows / kRowsAKeptQuery);  // fewer than there were
  EXPECT_EQ(kept.held_out, 240u);
  EXPECT_GT(kept.edges.size(), trained->report.edges.added / 2);  // some replaced learned ones
  EXPECT_EQ(Words(index::UndoLearnedEdges(trained->graph, kept.edges)), Words(world.graph));

  index::SearchableRows taught = world.searchable();
  taught.graph = &trained->graph;
  taught.edge_codes = &*trained->codes;
  index::KeptTraining former = kept;
  former.record = "{}";
  GraphTrainingOptions options;
  options.former = &former;
  // Training a trained graph starts from the untrained one.
  const auto again = TrainGraph(taught, world.queries.view(), options);
  ASSERT_OK(again);
  EXPECT_EQ(Words(again->graph), Words(trained->graph));
  EXPECT_EQ(again->entries, trained->entries);
  ASSERT_TRUE(again->report.former.has_value());
  EXPECT_EQ(again->report.former->ratio, 1);
  EXPECT_TRUE(again->report.accepted);

  // What was kept is enough by itself, and with others.
  options.fine_tune = true;
  const auto alone = TrainGraph(taught, {}, options);
  ASSERT_OK(alone);
  EXPECT_EQ(alone->report.validation_queries, kept.queries.rows / 5);
  EXPECT_LT(alone->report.queries.ratio, 1) << alone->report.reason;
  const base::AlignedMatrix others = StraddlingQueries(world.rows.view(), 300, 99);
  const auto more = TrainGraph(taught, others.view(), options);
  ASSERT_OK(more);
  EXPECT_EQ(more->report.validation_queries, (kept.queries.rows + 300) / 5);
  options.fine_tune = false;
  EXPECT_THAT(TrainGraph(taught, {}, options).status(), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(TeachNewRows, LearnsWhatLeadsToThemAndKeepsWhatWasLearned) {
  const World& world = TheWorld();
  // Three quarters of the rows are taught; the others come then.
  index::ProximityGraph graph(World::kDegree);
  index::GraphBuildOptions build;
  build.degree_bound = World::kDegree;
  build.beam_width = 80;
  const base::MatrixView rows = world.rows.view();
  ASSERT_OK(index::ExtendGraph(rows.First(3000), kMetric, build, &graph));
  index::EdgeCodes codes(kDimension, kMetric, World::kDegree);
  codes.Update(rows.First(3000), graph, 1);
  auto trained =
      TrainGraph({.rows = rows.First(3000), .metric = kMetric, .graph = &graph, .edge_codes = &codes},
                 world.queries.view(), {});
  ASSERT_OK(trained);
  ASSERT_OK(index::ExtendGraph(rows, kMetric, build, &trained->graph));
  trained->codes->Update(rows, trained->graph, 1);
  const index::SearchableRows grown = {
      .rows = rows, .metric = kMetric, .graph = &trained->graph, .edge_codes = &*trained->codes};
  std::vector<std::uint32_t> expected;
  for (const int threads : {1, 2}) {
    const auto taught = TeachNewRows(grown, trained->kept, threads);
    ASSERT_OK(taught);
    ExpectSound(taught->graph);
    if (threads == 1) expected = Words(taught->graph);
    EXPECT_EQ(Words(taught->graph), expected);
    EXPECT_EQ(taught->codes->Entries(), trained->codes->Entries());
    EXPECT_EQ(taught->kept.queries.rows, trained->kept.queries.rows);
    // Nothing that was learned before has gone, and new rows are at one end of most of what came.
    std::size_t lost = 0, added = 0, with_new_rows = 0;
    const auto has = [&](std::uint32_t from, std::uint32_t to) {
      const auto list = taught->graph.Neighbors(from);
      return std::find(list.begin(), list.end(), to) != list.end();
    };
    for (const index::LearnedEdge& edge : trained->kept.edges) {
      const auto before = trained->graph.Neighbors(edge.from);
      if (std::find(before.begin(), before.end(), edge.to) != before.end()) lost += !has(edge.from, edge.to);
    }
    for (const index::LearnedEdge& edge : index::FindLearnedEdges(trained->graph, taught->graph)) {
      ++added;
      with_new_rows += std::max(edge.from, edge.to) >= 3000;
      EXPECT_TRUE(std::find(taught->kept.edges.begin(), taught->kept.edges.end(), edge) !=
                  taught->kept.edges.end());
    }
    EXPECT_EQ(lost, 0u);
    EXPECT_GT(added, 100u);
    EXPECT_GT(with_new_rows, added / 3);

    index::SearchableRows searched = grown;
    searched.graph = &taught->graph;
    searched.edge_codes = &*taught->codes;
    const base::AlignedMatrix others = StraddlingQueries(rows, 300, 99);
    const auto truth = ScanNearest(grown, others.view(), 1, nullptr);
    ASSERT_OK(truth);
    const auto before = WalkCosts::Measure(grown, *truth, 1, nullptr);
    const auto after = WalkCosts::Measure(searched, *truth, 1, nullptr);
    ASSERT_OK(before);
    ASSERT_OK(after);
    EXPECT_LT(CompareHops(*before, *after, 0.9, 1).ratio, 1);
  }
}

TEST(TrainGraph, RefusesToLoseWhatWasLearnedBefore) {
  const World& world = TheWorld();
  const auto trained = TrainGraph(world.searchable(), world.queries.view(), {});
  ASSERT_OK(trained);
  index::SearchableRows taught = world.searchable();
  taught.graph = &trained->graph;
  taught.edge_codes = &*trained->codes;
  index::KeptTraining former = trained->kept;
  former.record = "{}";
  GraphTrainingOptions options;
  options.former = &former;
  // A tenth of the queries teaches less than all did.
  const auto less = TrainGraph(taught, world.queries.view().First(120), options);
  ASSERT_OK(less);
  ASSERT_TRUE(less->report.former.has_value());
  EXPECT_GT(less->report.former->ratio, 1);
  EXPECT_FALSE(less->report.accepted) << less->report.reason;
}

TEST(TrainGraph, GivesTheSameOnAnyNumberOfThreads) {
  const World& world = TheWorld();
  GraphTrainingOptions options;
  const auto one = TrainGraph(world.searchable(), world.queries.view(), options);
  options.thread_count = 3;
  const auto three = TrainGraph(world.searchable(), world.queries.view(), options);
  ASSERT_OK(one);
  ASSERT_OK(three);
  EXPECT_EQ(Words(one->graph), Words(three->graph));
  EXPECT_EQ(one->entries, three->entries);
  EXPECT_EQ(one->report.reason, three->report.reason);
}

TEST(TrainGraph, LearnsEdgesWithoutCodes) {
  index::SearchableRows plain = TheWorld().searchable();
  plain.edge_codes = nullptr;
  const auto trained = TrainGraph(plain, TheWorld().queries.view(), {});
  ASSERT_OK(trained);
  EXPECT_FALSE(trained->codes.has_value());
  EXPECT_TRUE(trained->entries.empty());
  EXPECT_GT(trained->report.edges.added, 0u);
}

TEST(TrainGraph, KeepsTwinsOfWhatIsHeldOutFromTraining) {
  const World& world = TheWorld();
  base::AlignedMatrix twice(kDimension);
  for (int copy = 0; copy < 2; ++copy) {
    for (std::size_t i = 0; i < 150; ++i) twice.Append(world.queries.row(i));
  }
  const auto trained = TrainGraph(world.searchable(), twice.view(), {});
  ASSERT_OK(trained);
  // 60 of 300 are held out; of each the other copy does not teach, unless it is held out as well.
  EXPECT_LT(trained->report.training_queries, 240u);
  EXPECT_GE(trained->report.training_queries, 180u);
}

TEST(TrainGraph, RefusesTooFewQueriesAndStopsWhenCancelled) {
  const World& world = TheWorld();
  EXPECT_THAT(TrainGraph(world.searchable(), world.queries.view().First(99), {}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("99, expected at least 100")));
  const std::atomic<bool> cancelled{true};
  GraphTrainingOptions options;
  options.cancelled = &cancelled;
  EXPECT_THAT(TrainGraph(world.searchable(), world.queries.view(), options).status(),
              StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace trivium::routing
