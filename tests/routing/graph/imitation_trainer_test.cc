// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/imitation_trainer.h"

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/graph_builder.h"
#include "routing/graph/imitation/budgeted_search.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"

namespace trivium::routing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr base::Metric kMetric = base::Metric::kSquaredL2;
constexpr std::size_t kRows = 1500, kDimension = 24;

class ImitationTrainer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = new World;
    index::GraphBuildOptions build;
    build.degree_bound = 10;
    build.beam_width = 40;
    build.threads = 1;
    world_->graph = index::ProximityGraph(10);
    ASSERT_OK(index::ExtendGraph(world_->rows.view(), kMetric, build, &world_->graph));
    Answer(world_->trained_on, &world_->training_targets);
    Answer(world_->validated_on, &world_->validation_targets);
  }
  static void TearDownTestSuite() { delete world_; }

  static void Answer(const base::AlignedMatrix& queries, std::vector<std::uint32_t>* targets) {
    for (std::size_t i = 0; i < queries.rows(); ++i) {
      targets->push_back(
          testing_support::SlowSearch(world_->rows.view(), kMetric, queries.row(i), 1).front().row);
    }
  }

  AnsweredQueries Training() const { return {world_->trained_on.view(), world_->training_targets}; }
  AnsweredQueries Validation() const { return {world_->validated_on.view(), world_->validation_targets}; }

  static ImitationOptions Options() {
    ImitationOptions options;
    options.code_dimension = 8;
    options.budget = 40;
    options.rerank_widths = {8};
    options.visited = 96;
    options.epochs = 4;
    options.patience = 4;
    options.learning_rate = 0.03;
    options.final_weight = 5;
    options.noise = 0.1f;
    options.batch = 50;
    options.threads = 1;
    return options;
  }

  absl::StatusOr<TrainedRouter> Train(const ImitationOptions& options) const {
    return TrainByImitation(world_->graph, world_->rows.view(), kMetric, Training(), Validation(), options);
  }

  struct World {
    base::AlignedMatrix rows = testing_support::ClusteredVectors(kRows, kDimension, kMetric, 1);
    base::AlignedMatrix trained_on = testing_support::ClusteredVectors(4000, kDimension, kMetric, 2);
    base::AlignedMatrix validated_on = testing_support::ClusteredVectors(400, kDimension, kMetric, 3);
    index::ProximityGraph graph;
    std::vector<std::uint32_t> training_targets, validation_targets;
  };
  static World* world_;
};
ImitationTrainer::World* ImitationTrainer::world_ = nullptr;

TEST_F(ImitationTrainer, FreeCodesFindMoreThanUntrainedOnes) {
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(Options()));
  const ImitationReport& report = trained.report;
  ASSERT_GE(report.best_epoch, 1u);
  EXPECT_GT(report.epochs[report.best_epoch - 1].recall, report.untrained.recall + 0.02)
      << report.untrained.recall;
  // What came back is what was measured.
  const index::RowDistances distances(world_->rows.view(), kMetric);
  EXPECT_EQ(RecallAtBudget(world_->graph, distances, trained.codes, Validation(), 40, 8, 1),
            report.epochs[report.best_epoch - 1].recall);
}

TEST_F(ImitationTrainer, SharedMapsFindMoreThanUntrainedOnes) {
  for (const CodeSource source : {CodeSource::kLinear, CodeSource::kHidden}) {
    ImitationOptions options = Options();
    options.source = source;
    options.hidden_width = 32;
    ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
    ASSERT_GE(trained.report.best_epoch, 1u);
    EXPECT_GT(trained.report.epochs[trained.report.best_epoch - 1].recall, trained.report.untrained.recall);
    EXPECT_LT(trained.report.epochs.back().loss, trained.report.epochs.front().loss);
  }
}

TEST_F(ImitationTrainer, MakesTheSameCodesAgain) {
  ImitationOptions options = Options();
  options.epochs = 1;
  for (const CodeSource source : {CodeSource::kFree, CodeSource::kHidden}) {
    options.source = source;
    ASSERT_OK_AND_ASSIGN(const TrainedRouter first, Train(options));
    ASSERT_OK_AND_ASSIGN(const TrainedRouter second, Train(options));
    EXPECT_EQ(first.codes.biases, second.codes.biases);
    EXPECT_EQ(std::memcmp(first.codes.codes.row(0), second.codes.codes.row(0),
                          kRows * first.codes.codes.stride() * sizeof(float)),
              0);
  }
}

TEST_F(ImitationTrainer, FreeCodesGoOnFromTrainedMaps) {
  ImitationOptions options = Options();
  options.source = CodeSource::kLinear;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter mapped, Train(options));
  options.source = CodeSource::kFree;
  options.start = &mapped.codes;
  options.learning_rate = 0.005;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
  const ImitationReport& report = trained.report;
  EXPECT_EQ(report.untrained.recall, mapped.report.epochs[mapped.report.best_epoch - 1].recall);
  EXPECT_LT(report.epochs.back().loss, report.epochs.front().loss);

  options.code_dimension = 9;
  EXPECT_THAT(Train(options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("codes to start from: 1500 x 8")));
}

TEST_F(ImitationTrainer, ABudgetThatAffordsNoWalkFindsNothing) {
  ImitationOptions options = Options();
  options.epochs = 0;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
  // 8 for the projection, 8 for the re-rank, 24 / 8 scores for each distance of the rest.
  EXPECT_EQ(AffordableVertices(trained.codes, 16, 8), 0u);
  EXPECT_EQ(AffordableVertices(trained.codes, 17, 8), 3u);
  const index::RowDistances distances(world_->rows.view(), kMetric);
  BudgetedScratch scratch;
  EXPECT_FALSE(SearchByCodes(world_->graph, distances, trained.codes, world_->validated_on.row(0), 16, 8,
                             HopOracle::kNoVertex, &scratch));
}

TEST_F(ImitationTrainer, AHiddenVertexIsNotFound) {
  ImitationOptions options = Options();
  options.epochs = 0;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
  const index::RowDistances distances(world_->rows.view(), kMetric);
  BudgetedScratch scratch;
  for (std::uint32_t row = 0; row < kRows; row += 50) {
    const auto found =
        SearchByCodes(world_->graph, distances, trained.codes, world_->rows.row(row), 200, 8, row, &scratch);
    ASSERT_TRUE(found.has_value());
    EXPECT_NE(found->row, row);
  }
  const std::uint32_t entry = world_->graph.entry();  // a walk that cannot begin where walks do
  EXPECT_TRUE(
      SearchByDistances(world_->graph, distances, world_->rows.row(entry), 200, entry, &scratch).has_value());
}

TEST_F(ImitationTrainer, TheIdentityForAQueryMapCostsNothing) {
  ImitationOptions options = Options();
  options.code_dimension = kDimension;
  options.learn_query_map = false;
  options.epochs = 1;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
  EXPECT_EQ(trained.codes.projection_cost(), 0u);
  EXPECT_EQ(AffordableVertices(trained.codes, 40, 8), 32u);
}

TEST_F(ImitationTrainer, KeepsTheUntrainedCodesWhereTrainingIsWorse) {
  ImitationOptions options = Options();
  options.learning_rate = 1;
  options.noise = 50;
  options.epochs = 2;
  ASSERT_OK_AND_ASSIGN(const TrainedRouter trained, Train(options));
  EXPECT_EQ(trained.report.best_epoch, 0u);
  const index::RowDistances distances(world_->rows.view(), kMetric);
  EXPECT_EQ(RecallAtBudget(world_->graph, distances, trained.codes, Validation(), 40, 8, 1),
            trained.report.untrained.recall);
}

TEST_F(ImitationTrainer, ReportsEveryEpochAndStopsWhenCancelled) {
  std::atomic<bool> cancelled{false};
  int reports = 0;
  ImitationOptions options = Options();
  options.cancelled = &cancelled;
  options.progress = [&](const EpochReport& report) {
    EXPECT_GT(report.loss, 0);
    if (++reports == 2) cancelled = true;
  };
  EXPECT_THAT(Train(options), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(reports, 2);
}

TEST_F(ImitationTrainer, RefusesBadQueries) {
  const auto train = [&](const AnsweredQueries& training) {
    return TrainByImitation(world_->graph, world_->rows.view(), kMetric, training, Validation(), Options());
  };
  AnsweredQueries none = Training();
  none.queries.rows = 0;
  EXPECT_THAT(train(none), StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("training queries: 0, expected at least 1")));
  AnsweredQueries narrow = Training();
  narrow.queries.columns = 23;
  EXPECT_THAT(train(narrow), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("training query dimension: 23, expected 24")));
  AnsweredQueries few = Training();
  few.targets = few.targets.first(10);
  EXPECT_THAT(train(few), StatusIs(absl::StatusCode::kInvalidArgument,
                                   HasSubstr("training targets: 10, expected 4000 x 1")));
  std::vector<std::uint32_t> wrong = world_->training_targets;
  wrong[7] = kRows;
  AnsweredQueries beyond = Training();
  beyond.targets = wrong;
  EXPECT_THAT(train(beyond), StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("training query 7: target 1500, expected below 1500")));
  base::AlignedMatrix damaged(4000, kDimension);
  damaged.row(3)[5] = std::nanf("");
  AnsweredQueries not_numbers = Training();
  not_numbers.queries = damaged.view();
  EXPECT_THAT(train(not_numbers),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("training query 3: nan at 5"), HasSubstr("expected finite"))));
}

TEST_F(ImitationTrainer, RefusesOptionsOutOfRange) {
  ImitationOptions wide = Options();
  wide.code_dimension = 25;
  EXPECT_THAT(Train(wide), StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("code_dimension: 25, expected 1 to 24")));
  ImitationOptions identity = Options();
  identity.learn_query_map = false;
  EXPECT_THAT(Train(identity), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected 24")));
  ImitationOptions far = Options();
  far.max_hops = 0;
  EXPECT_THAT(Train(far),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("max_hops: 0, expected 1 to 60")));
}

}  // namespace
}  // namespace trivium::routing
