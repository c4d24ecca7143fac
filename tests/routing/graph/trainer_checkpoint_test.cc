// SPDX-License-Identifier: Apache-2.0
// Training that is stopped and gone on with gives what it would have given.
#include "routing/graph/trainer_checkpoint.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/graph/graph_trainer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/taught_world.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::GraphWords;
using testing_support::TaughtWorld;

const TaughtWorld& TheWorld() {
  static const TaughtWorld* const world = new TaughtWorld(2100, 64, 12, 300);
  return *world;
}

absl::StatusOr<TrainedGraph> Train(const GraphTrainingOptions& options) {
  return TrainGraph(TheWorld().searchable(), TheWorld().queries.view(), options);
}

void ExpectSame(const TrainedGraph& one, const TrainedGraph& other) {
  EXPECT_EQ(GraphWords(one.graph), GraphWords(other.graph));
  EXPECT_EQ(one.entries, other.entries);
  EXPECT_EQ(one.report.curve, other.report.curve);
  EXPECT_EQ(one.report.reason, other.report.reason);
  EXPECT_EQ(one.report.edges.added, other.report.edges.added);
  EXPECT_EQ(one.report.edges.replaced, other.report.edges.replaced);
  const std::size_t bytes = one.codes->size() * one.codes->shape().bytes;
  EXPECT_TRUE(std::equal(one.codes->blocks(), one.codes->blocks() + bytes, other.codes->blocks()));
}

class TrainingCheckpointTest : public ::testing::Test {
 protected:
  // Trains until `stop` says so, at a call of progress.
  void Interrupt(const std::function<bool(std::string_view stage, std::size_t done)>& stop) {
    std::atomic<bool> cancelled{false};
    GraphTrainingOptions options = options_;
    options.cancelled = &cancelled;
    options.progress = [&](std::string_view stage, std::size_t done, std::size_t) {
      if (stop(stage, done)) cancelled = true;
    };
    EXPECT_THAT(Train(options).status(), StatusIs(absl::StatusCode::kCancelled));
  }

  // Goes on; how far the first progress of `stage` is.
  std::size_t GoOn(std::string_view stage, int threads, TrainedGraph* trained) {
    std::size_t least = static_cast<std::size_t>(-1);
    GraphTrainingOptions options = options_;
    options.thread_count = threads;
    options.progress = [&](std::string_view told, std::size_t done, std::size_t) {
      if (told == stage && done > 0) least = std::min(least, done);
    };
    auto result = Train(options);
    EXPECT_OK(result);
    if (result.ok()) *trained = *std::move(result);
    return least;
  }

  testing_support::TempDir folder_;
  std::string path_ = folder_.path() + "/training";
  GraphTrainingOptions options_ = {.checkpoint = path_};
};

TEST_F(TrainingCheckpointTest, GoesOnAfterTheAnswersAsIfNothingHadHappened) {
  const auto whole = Train({});
  ASSERT_OK(whole);
  Interrupt([](std::string_view stage, std::size_t) { return stage == "edges"; });
  ASSERT_TRUE(std::filesystem::exists(path_));
  TrainedGraph trained;
  const std::size_t all = whole->report.training_queries;
  EXPECT_EQ(GoOn("answers", 2, &trained), all);  // none is looked for again
  ExpectSame(trained, *whole);
}

TEST_F(TrainingCheckpointTest, GoesOnAfterARoundAsIfNothingHadHappened) {
  const auto whole = Train({});
  ASSERT_OK(whole);
  ASSERT_EQ(whole->report.curve.size(), 2u);
  const std::size_t all = whole->report.training_queries;
  Interrupt([&](std::string_view stage, std::size_t done) { return stage == "edges" && done > all; });
  TrainedGraph trained;
  EXPECT_GT(GoOn("edges", 1, &trained), all);  // the first round is not walked again
  ExpectSame(trained, *whole);
  ASSERT_TRUE(std::filesystem::exists(path_));  // its owner removes it
  EXPECT_GT(GoOn("edges", 1, &trained), all);
  ExpectSame(trained, *whole);
}

TEST_F(TrainingCheckpointTest, BelongsToOneTraining) {
  Interrupt([](std::string_view stage, std::size_t) { return stage == "edges"; });
  const std::string before = testing_support::ReadWholeFile(path_);
  const auto refused = StatusIs(absl::StatusCode::kFailedPrecondition,
                                HasSubstr(path_ + ": of another training, expected the same vectors"));
  GraphTrainingOptions other = options_;
  other.seed = 1;
  EXPECT_THAT(Train(other).status(), refused);
  other = options_;
  other.recall = 0.9;
  EXPECT_THAT(Train(other).status(), refused);
  other = options_;
  other.learn_entries = false;
  EXPECT_THAT(Train(other).status(), refused);
  EXPECT_THAT(TrainGraph(TheWorld().searchable(), TheWorld().queries.view().First(299), options_).status(),
              refused);
  base::AlignedMatrix rows(TheWorld().rows.rows(), TheWorld().rows.columns());
  for (std::size_t i = 0; i < rows.rows(); ++i) {
    std::copy_n(TheWorld().rows.row(i), rows.columns(), rows.row(i));
  }
  rows.row(7)[3] += 1e-6f;
  index::SearchableRows moved = TheWorld().searchable();
  moved.rows = rows.view();
  EXPECT_THAT(TrainGraph(moved, TheWorld().queries.view(), options_).status(), refused);
  EXPECT_EQ(testing_support::ReadWholeFile(path_), before);
}

TEST_F(TrainingCheckpointTest, DamageIsFoundWhereverItIs) {
  ASSERT_OK(Train(options_));
  const std::string whole = testing_support::ReadWholeFile(path_);
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 150 + 1) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    testing_support::WriteWholeFile(path_, damaged);
    EXPECT_THAT(Train(options_).status(), StatusIs(absl::StatusCode::kDataLoss)) << at;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
    testing_support::WriteWholeFile(path_, whole.substr(0, size));
    EXPECT_THAT(Train(options_).status(), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
}

TEST_F(TrainingCheckpointTest, VerticesAreCheckedWhateverTheChecksumsSay) {
  EdgeRounds rounds(TheWorld().graph);
  const index::ProximityGraph& graph = TheWorld().graph;
  rounds.best = index::ProximityGraph(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  rounds.curve = {0.5};
  rounds.learning.rounds = 1;
  const std::vector<std::uint32_t> answers = {1, 2, 3};
  ASSERT_OK(SaveCheckpoint(path_, 17, answers, &rounds));
  const auto load = [&](std::size_t count) { return LoadCheckpoint(path_, 17, graph, count).status(); };
  EXPECT_OK(load(3));
  EXPECT_THAT(load(4), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("block answers has 12 bytes")));
  rounds.learning.graph.SetNeighbors(5, std::vector<std::uint32_t>{2100});
  ASSERT_OK(SaveCheckpoint(path_, 17, answers, &rounds));
  EXPECT_THAT(load(3), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("neighbours of vertex 5")));
  ASSERT_OK(SaveCheckpoint(path_, 17, std::vector<std::uint32_t>{1, 2, 2100}, nullptr));
  EXPECT_THAT(load(3), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("answer 2100, expected less than")));
}

TEST_F(TrainingCheckpointTest, AFolderThatIsNotThereIsToldBeforeAnyWork) {
  options_.checkpoint = folder_.path() + "/nowhere/training";
  options_.progress = [](std::string_view stage, std::size_t, std::size_t) { ADD_FAILURE() << stage; };
  EXPECT_THAT(Train(options_).status(), StatusIs(absl::StatusCode::kNotFound, HasSubstr("nowhere/training")));
}

TEST(TrainGraphProgress, IsToldOfEveryStageAndRisesToItsTotal) {
  std::vector<std::string> stages;
  std::size_t last = 0, last_total = 0;
  GraphTrainingOptions options;
  options.thread_count = 2;
  options.progress = [&](std::string_view stage, std::size_t done, std::size_t total) {
    if (stages.empty() || stages.back() != stage) {
      EXPECT_EQ(last, last_total) << stage;
      stages.emplace_back(stage);
    } else {
      EXPECT_GE(done, last) << stage;
      EXPECT_EQ(total, last_total) << stage;
    }
    last = done;
    last_total = total;
  };
  ASSERT_OK(Train(options));
  EXPECT_EQ(last, last_total);
  EXPECT_EQ(stages, (std::vector<std::string>{"measure", "answers", "entries", "edges", "codes", "gate"}));
}

TEST(TrainGraphProgress, ACancelAtAnyOfItsCallsEndsTheTraining) {
  for (const std::string wanted : {"measure", "answers", "entries", "edges", "codes", "gate"}) {
    std::atomic<bool> cancelled{false};
    GraphTrainingOptions options;
    options.cancelled = &cancelled;
    options.progress = [&](std::string_view stage, std::size_t, std::size_t) {
      if (stage == wanted) cancelled = true;
    };
    EXPECT_THAT(Train(options).status(), StatusIs(absl::StatusCode::kCancelled)) << wanted;
  }
}

}  // namespace
}  // namespace trivium::routing
