// SPDX-License-Identifier: Apache-2.0
// VectorIndex::TrainGraph: what it wins, where that is kept, what it refuses.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/straddling_queries.h"
#include "tests/support/temp_dir.h"
#include "trivium/vector_index.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;
using testing_support::TempDir;

constexpr std::size_t kColumns = 64, kRows = 4000;

// Rows without gaps.
struct Values {
  std::vector<float> values;
  std::size_t rows = 0;

  explicit Values(const base::AlignedMatrix& matrix) : rows(matrix.rows()) {
    for (std::size_t i = 0; i < rows; ++i)
      values.insert(values.end(), matrix.row(i), matrix.row(i) + kColumns);
  }
  MatrixView view() const { return {values.data(), rows, kColumns}; }
};

class VectorIndexTrain : public ::testing::Test {
 protected:
  base::AlignedMatrix rows_ = testing_support::ClusteredVectors(kRows, kColumns, base::Metric::kCosine, 1);
  Values training_{testing_support::StraddlingQueries(rows_.view(), 1200, 5)};
  Values others_{testing_support::StraddlingQueries(rows_.view(), 200, 6)};

  VectorIndex MakeIndex(Profile profile = Profile::kSpeed, std::size_t rows = kRows,
                        VectorIndexAlgorithm algorithm = VectorIndexAlgorithm::kGraph) const {
    VectorIndexOptions options;
    options.dimension = kColumns;
    options.algorithm = algorithm;
    options.profile = profile;
    options.degree_bound = 24;
    options.build_beam_width = 80;
    auto index = VectorIndex::Create(options);
    EXPECT_OK(index);
    Add(0, rows, &*index);
    return *std::move(index);
  }
  void Add(std::size_t first, std::size_t count, VectorIndex* index) const {
    std::vector<std::uint64_t> labels;
    std::vector<float> values;
    for (std::size_t i = first; i < first + count; ++i) {
      labels.push_back(i);
      values.insert(values.end(), rows_.row(i % kRows), rows_.row(i % kRows) + kColumns);
    }
    EXPECT_OK(index->Add(labels, {values.data(), count, kColumns}));
  }
  // Labels found by walks for the other queries; their recall.
  std::vector<std::uint64_t> Ask(const VectorIndex& index, const VectorSearchOptions& options,
                                 VectorSearchStats* stats = nullptr) const {
    std::vector<std::uint64_t> labels(others_.rows * options.k);
    std::vector<float> scores(labels.size());
    std::vector<std::size_t> counts(others_.rows);
    EXPECT_OK(index.SearchBatch(others_.view(), options, 2, absl::MakeSpan(labels), absl::MakeSpan(scores),
                                absl::MakeSpan(counts), stats));
    return labels;
  }
  double Recall(const VectorIndex& index, std::size_t width) const {
    const auto walked = Ask(index, {.beam_width = width, .force_graph = true});
    const auto truth = Ask(index, {.exact = true});
    std::size_t hits = 0;
    for (std::size_t i = 0; i < truth.size(); i += 10) {
      for (std::size_t j = 0; j < 10; ++j) {
        hits += std::find(&truth[i], &truth[i] + 10, walked[i + j]) != &truth[i] + 10;
      }
    }
    return static_cast<double>(hits) / static_cast<double>(truth.size());
  }
};

TEST_F(VectorIndexTrain, FindsMoreWithTheSameBeamAndAnswersExactlyAsBefore) {
  VectorIndex index = MakeIndex();
  const double before = Recall(index, 12);
  const auto exact = Ask(index, {.exact = true});
  const std::uint64_t bytes = index.MemoryBytes().total();
  EXPECT_EQ(index.training(), "");
  const auto report = index.TrainGraph(training_.view());
  ASSERT_OK(report);
  EXPECT_TRUE(report->enabled) << report->reason;
  EXPECT_LT(report->hop_ratio_high, 1);
  EXPECT_LT(report->hops_after, report->hops_before);
  EXPECT_GT(report->entries, 0u);
  EXPECT_GT(Recall(index, 12), before);
  EXPECT_EQ(Ask(index, {.exact = true}), exact);
  // Walks read what they did; beside that there is what was kept, at most a query for eight rows, and the
  // covariance of queries (64 is the padded dimension).
  const VectorIndexMemory memory = index.MemoryBytes();
  EXPECT_EQ(memory.total() - memory.training, bytes + 64 * 64 * sizeof(float));
  EXPECT_GE(memory.training, kRows / 8 * kColumns * sizeof(float));
  EXPECT_LT(memory.training, bytes / 10);
  EXPECT_THAT(index.training(), HasSubstr("\"hops_after\""));
}

TEST_F(VectorIndexTrain, IsKeptInTheFileAndWhenRowsComeAndGo) {
  const TempDir dir;
  VectorIndex index = MakeIndex();
  const double untrained = Recall(index, 12);
  ASSERT_OK(index.TrainGraph(training_.view()));
  const VectorSearchOptions walk{.beam_width = 12, .force_graph = true};
  VectorSearchStats stats, loaded_stats;
  const auto hits = Ask(index, walk, &stats);
  ASSERT_OK(index.Save(dir.File("index")));
  auto loaded = VectorIndex::Load(dir.File("index"));
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->training(), index.training());
  EXPECT_EQ(Ask(*loaded, walk, &loaded_stats), hits);
  EXPECT_EQ(loaded_stats.hops, stats.hops);

  for (VectorIndex* each : {&index, &*loaded}) {
    Add(kRows, 1500, each);  // twins of rows, under new labels
    std::vector<std::uint64_t> removed;
    for (std::uint64_t label = kRows; label < kRows + 1500; ++label) removed.push_back(label);
    ASSERT_OK(each->Remove(removed));
    ASSERT_OK(each->Compact());
    EXPECT_NE(each->training(), "");
    EXPECT_GT(Recall(*each, 12), untrained);
  }
}

TEST_F(VectorIndexTrain, IsTrainedAgainFromTheUntrainedGraph) {
  const TempDir dir;
  VectorIndex index = MakeIndex();
  ASSERT_OK(index.TrainGraph(training_.view()));
  const VectorSearchOptions walk{.beam_width = 12, .force_graph = true};
  const auto hits = Ask(index, walk);
  ASSERT_OK(index.Save(dir.File("index")));
  for (const bool load : {false, true}) {
    if (load) {
      auto loaded = VectorIndex::Load(dir.File("index"));
      ASSERT_OK(loaded);
      index = *std::move(loaded);
    }
    const auto again = index.TrainGraph(training_.view());
    ASSERT_OK(again);
    EXPECT_TRUE(again->enabled);
    EXPECT_EQ(again->former_hop_ratio, 1);
    EXPECT_EQ(Ask(index, walk), hits);
  }
  const auto tuned = index.TrainGraph(others_.view(), {.fine_tune = true});
  ASSERT_OK(tuned);
  EXPECT_EQ(tuned->validation_queries, (kRows / 8 + others_.rows) / 5);
  const auto alone = index.TrainGraph({}, {.fine_tune = true, .ignore_gate = true});
  ASSERT_OK(alone);
  EXPECT_EQ(alone->validation_queries, kRows / 8 / 5);
  // Of an index that nothing taught.
  VectorIndex fresh = MakeIndex();
  EXPECT_TRUE(std::isnan(fresh.TrainGraph(training_.view())->former_hop_ratio));
  VectorIndex untrained = MakeIndex();
  EXPECT_THAT(untrained.TrainGraph({}, {.fine_tune = true}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0, expected at least 100")));
}

TEST_F(VectorIndexTrain, RowsThatComeLaterAreTaughtOnceTheyAreATenth) {
  constexpr std::size_t kFirst = kRows / 2;
  VectorIndex index = MakeIndex(Profile::kSpeed, kFirst + 100);
  ASSERT_OK(index.TrainGraph(training_.view()));
  const std::uint64_t kept = index.MemoryBytes().training;
  Add(kFirst + 100, 100, &index);  // few, which wait outside the graph
  EXPECT_EQ(index.MemoryBytes().training, kept);
  Add(kFirst + 200, kRows - kFirst - 200, &index);
  EXPECT_GT(index.MemoryBytes().training, kept);  // more learned edges
  const auto drift = index.GraphDrift(others_.view());
  ASSERT_OK(drift);
  EXPECT_GT(drift->edges_kept, 0.9);  // extending a graph takes some places
  EXPECT_LT(drift->hop_ratio, 1) << drift->reason;
  const TempDir dir;
  const VectorSearchOptions walk{.beam_width = 12, .force_graph = true};
  ASSERT_OK(index.Save(dir.File("index")));
  auto loaded = VectorIndex::Load(dir.File("index"));
  ASSERT_OK(loaded);
  EXPECT_EQ(Ask(*loaded, walk), Ask(index, walk));
  EXPECT_EQ(loaded->MemoryBytes().training, index.MemoryBytes().training);
}

TEST_F(VectorIndexTrain, DriftSaysWhenToTrainAgain) {
  VectorIndex index = MakeIndex();
  EXPECT_THAT(index.GraphDrift().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not trained")));
  const auto trained = index.TrainGraph(training_.view());
  ASSERT_OK(trained);
  const auto drift = index.GraphDrift({}, {.vertices = 3});
  ASSERT_OK(drift);
  EXPECT_EQ(drift->queries, 240u);
  EXPECT_EQ(drift->hop_ratio, trained->hop_ratio);
  EXPECT_EQ(drift->hop_ratio_then, trained->hop_ratio);
  EXPECT_EQ(drift->hops_untaught, trained->hops_before);
  EXPECT_EQ(drift->rows_then, kRows);
  EXPECT_EQ(drift->rows, kRows);
  EXPECT_EQ(drift->edges_kept, 1);
  EXPECT_FALSE(drift->train_again) << drift->reason;
  ASSERT_EQ(drift->helpful.size(), 3u);
  EXPECT_GE(drift->helpful[0].led, drift->helpful[2].led);
  EXPECT_LT(drift->helpful[0].label, kRows);
  EXPECT_OK(index.GraphDrift(others_.view()));

  Add(kRows, kRows / 4, &index);
  const auto grown = index.GraphDrift();
  ASSERT_OK(grown);
  EXPECT_EQ(grown->rows, kRows * 5 / 4);
  EXPECT_TRUE(grown->train_again);
  EXPECT_THAT(grown->reason, HasSubstr("25 % more rows"));

  std::vector<std::uint64_t> removed;
  for (std::uint64_t label = 0; label < kRows / 2; ++label) removed.push_back(label);
  ASSERT_OK(index.Remove(removed));
  ASSERT_OK(index.Compact());
  const auto shrunk = index.GraphDrift();
  ASSERT_OK(shrunk);
  EXPECT_GT(shrunk->edges_kept, 0.5);
  EXPECT_LE(shrunk->edges_kept, 1);
  for (const RowUse& use : shrunk->helpful) EXPECT_GE(use.label, kRows / 2);

  const auto refuses = [&](MatrixView queries, const GraphDriftOptions& options, const std::string& message) {
    EXPECT_THAT(index.GraphDrift(queries, options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  refuses({others_.values.data(), 2, kColumns - 1}, {}, "dimension: 63, expected 64");
  refuses({}, {.recall = 0}, "recall: 0");
  refuses({}, {.vertices = 1001}, "1001, expected at most 1000");
  refuses({}, {.threads = -1}, "threads: -1");
}

TEST_F(VectorIndexTrain, AWalkIsTracedWithAndWithoutWhatWasLearned) {
  VectorIndex index = MakeIndex();
  const absl::Span<const float> query(others_.values.data(), kColumns);
  const auto before = index.TraceWalk(query, {.beam_width = 16});
  ASSERT_OK(before);
  EXPECT_FALSE(before->untaught.has_value());
  ASSERT_OK(index.TrainGraph(training_.view()));
  bool learned = false;
  for (std::size_t i = 0; i < 20; ++i) {
    const absl::Span<const float> each(others_.values.data() + i * kColumns, kColumns);
    const auto trace = index.TraceWalk(each, {.beam_width = 16});
    ASSERT_OK(trace);
    ASSERT_TRUE(trace->untaught.has_value());
    std::vector<std::uint64_t> labels(10);
    std::vector<float> scores(10);
    VectorSearchStats stats;
    ASSERT_OK(index.Search(each, {.beam_width = 16, .force_graph = true}, absl::MakeSpan(labels),
                           absl::MakeSpan(scores), &stats));
    EXPECT_EQ(trace->walk.found, labels);
    EXPECT_EQ(trace->walk.steps.size(), stats.hops);
    EXPECT_EQ(trace->walk.distance_computations, stats.distance_computations);
    EXPECT_LE(trace->walk.recall, 1);
    for (const WalkStep& step : trace->walk.steps) {
      learned = learned || step.learned;
      const bool found = std::find(labels.begin(), labels.end(), step.label) != labels.end();
      EXPECT_TRUE(step.led || !found);
    }
    for (const WalkStep& step : trace->untaught->steps) EXPECT_FALSE(step.learned);
    if (i > 0) continue;
    EXPECT_EQ(trace->untaught->found, before->walk.found);
    EXPECT_EQ(trace->untaught->steps.size(), before->walk.steps.size());
  }
  EXPECT_TRUE(learned);

  EXPECT_THAT(index.TraceWalk(query.first(3)).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dimension: 3, expected 64")));
  EXPECT_THAT(index.TraceWalk(query, {.k = 0}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("k: 0, expected 1 to 1000")));
  EXPECT_THAT(MakeIndex(Profile::kSpeed, 500).TraceWalk(query).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("0 rows in a graph")));
  EXPECT_THAT(MakeIndex(Profile::kSpeed, kRows, VectorIndexAlgorithm::kExact).TraceWalk(query).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("exact")));
}

TEST_F(VectorIndexTrain, IsForgottenWithTheGraphItWasOf) {
  VectorIndex index = MakeIndex();
  ASSERT_OK(index.TrainGraph(training_.view()));
  std::vector<std::uint64_t> removed;
  for (std::uint64_t label = 0; label < kRows * 3 / 4; ++label) removed.push_back(label);
  ASSERT_OK(index.Remove(removed));
  ASSERT_OK(index.Compact());
  EXPECT_EQ(index.training(), "");
}

TEST_F(VectorIndexTrain, CompressedProfilesLearnEdges) {
  for (const Profile profile : {Profile::kBalanced, Profile::kSmall}) {
    VectorIndex index = MakeIndex(profile);
    const auto exact = Ask(index, {.exact = true});
    const auto report = index.TrainGraph(training_.view(), {.ignore_gate = true});
    ASSERT_OK(report);
    EXPECT_EQ(report->entries, 0u);  // there is no table for them
    EXPECT_GT(report->edges_added, 0u);
    EXPECT_GE(Recall(index, 96), 0.95);
    EXPECT_EQ(Ask(index, {.exact = true}), exact);
  }
}

// Queries in all directions: there is nothing to learn.
TEST_F(VectorIndexTrain, WhatDoesNotPayIsNotUsedUnlessAsked) {
  base::AlignedMatrix noise(200, kColumns);
  base::Random random(3);
  for (std::size_t i = 0; i < 200; ++i) {
    for (std::size_t j = 0; j < kColumns; ++j) noise.row(i)[j] = static_cast<float>(random.Normal());
  }
  const Values queries(noise);
  VectorIndex index = MakeIndex();
  const VectorSearchOptions walk{.beam_width = 16, .force_graph = true};
  const auto before = Ask(index, walk);
  GraphTrainingOptions options{.edges = false};
  const auto refused = index.TrainGraph(queries.view(), options);
  ASSERT_OK(refused);
  ASSERT_FALSE(refused->enabled) << refused->reason;
  EXPECT_EQ(Ask(index, walk), before);
  EXPECT_EQ(index.training(), "");
  options.ignore_gate = true;
  const auto used = index.TrainGraph(queries.view(), options);
  ASSERT_OK(used);
  EXPECT_TRUE(used->enabled);
  EXPECT_NE(index.training(), "");
}

TEST_F(VectorIndexTrain, RefusesBadInputAndChangesNothing) {
  VectorIndex index = MakeIndex();
  const VectorSearchOptions walk{.beam_width = 16, .force_graph = true};
  const auto before = Ask(index, walk);
  const auto refuses = [&](MatrixView queries, const GraphTrainingOptions& options,
                           const std::string& message) {
    EXPECT_THAT(index.TrainGraph(queries, options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  refuses({training_.values.data(), 99, kColumns}, {}, "99, expected at least 100");
  refuses({training_.values.data(), 0, kColumns}, {}, "0, expected at least 100");
  refuses({training_.values.data(), 0, kColumns}, {.fine_tune = true}, "0, expected at least 100");
  refuses({training_.values.data(), 200, kColumns - 1}, {}, "63, expected 64");
  refuses(training_.view(), {.entries = false, .edges = false, .codes = false}, "neither entries nor edges");
  refuses(training_.view(), {.recall = 0}, "recall: 0");
  refuses(training_.view(), {.threads = -1}, "threads: -1");
  Values bad = training_;
  bad.values[7 * kColumns + 3] = std::numeric_limits<float>::quiet_NaN();
  refuses(bad.view(), {}, "query, row 7");
  const std::atomic<bool> cancelled{true};
  EXPECT_THAT(index.TrainGraph(training_.view(), {.cancelled = &cancelled}).status(),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(Ask(index, walk), before);
  EXPECT_EQ(index.training(), "");

  VectorIndex small = MakeIndex(Profile::kSpeed, 2000);
  EXPECT_THAT(
      small.TrainGraph(training_.view()).status(),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("2000 rows, expected at least 2048")));
  VectorIndex flat = MakeIndex(Profile::kSpeed, kRows, VectorIndexAlgorithm::kExact);
  EXPECT_THAT(flat.TrainGraph(training_.view()).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("exact, expected graph")));
}

}  // namespace
}  // namespace trivium
