// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_trainer.h"

#include <atomic>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "routing/tree/tree_anchors.h"
#include "storage/file_system.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kDimension = 24;

class TreeTrainerTest : public ::testing::Test {
 protected:
  static TreeTrainingOptions Options() {
    TreeTrainingOptions options;
    options.depth = 5;
    options.step_count = 800;
    options.look_every = 200;
    options.anchor_count = 16;
    options.document_count = 96;
    options.near = 40;
    options.thread_count = 1;
    return options;
  }
  TreeTrainingData Data() const { return {documents_.view(), queries_.view(), {}}; }

  base::AlignedMatrix documents_ =
      testing_support::ClusteredVectors(1500, kDimension, base::Metric::kCosine, 1);
  base::AlignedMatrix queries_ = testing_support::ClusteredVectors(500, kDimension, base::Metric::kCosine, 2);
};

void ExpectEqual(const SplitTree& a, const SplitTree& b) {
  ASSERT_EQ(a.inner_nodes(), b.inner_nodes());
  for (std::size_t i = 0; i < a.inner_nodes(); ++i) {
    ASSERT_EQ(a.biases[i], b.biases[i]);
    for (std::size_t j = 0; j < a.features(); ++j) ASSERT_EQ(a.splits.row(i)[j], b.splits.row(i)[j]);
  }
}

TEST_F(TreeTrainerTest, LearnsToPutNearDocumentsNearWithoutAnyLabel) {
  for (const bool with_queries : {false, true}) {
    TreeTrainingData data = Data();
    if (!with_queries) data.queries = {};
    ASSERT_OK_AND_ASSIGN(const TrainedTree trained, TrainTree(data, Options()));
    const TreeLevelQuality& last = trained.report.levels.back();
    EXPECT_EQ(last.level, 5u);
    EXPECT_GT(last.overlap, last.untrained + 0.1) << with_queries;
    EXPECT_GT(last.entropy, 0);
    EXPECT_LE(last.entropy, 5);
    EXPECT_GT(trained.report.steps, 0u);
    EXPECT_EQ(trained.report.queries > 0, with_queries);
  }
}

TEST_F(TreeTrainerTest, MlpSplitsLearnToo) {
  TreeTrainingOptions options = Options();
  options.mlp = true;
  ASSERT_OK_AND_ASSIGN(const TrainedTree trained, TrainTree(Data(), options));
  EXPECT_EQ(trained.tree.layer.rows(), 2 * kDimension);
  EXPECT_GT(trained.report.levels.back().overlap, trained.report.levels.back().untrained + 0.1);
}

TEST_F(TreeTrainerTest, IsTheSameAgainAndAfterAStop) {
  const testing_support::TempDir directory(testing_support::TempDir::kMemory);
  TreeTrainingOptions options = Options();
  ASSERT_OK_AND_ASSIGN(const TrainedTree whole, TrainTree(Data(), options));
  ASSERT_OK_AND_ASSIGN(const TrainedTree again, TrainTree(Data(), options));
  ExpectEqual(whole.tree, again.tree);

  options.checkpoint = directory.File("checkpoint");
  std::atomic<bool> stop = false;
  options.cancelled = &stop;
  options.progress = [&](std::string_view stage, double share) { stop = stage == "steps" && share >= 0.5; };
  EXPECT_THAT(TrainTree(Data(), options), StatusIs(absl::StatusCode::kCancelled));
  ASSERT_TRUE(storage::PathExists(options.checkpoint));

  TreeTrainingOptions other = options;
  other.seed = 5;
  other.cancelled = nullptr;
  EXPECT_THAT(TrainTree(Data(), other),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("of another training")));

  const std::string bytes = testing_support::ReadWholeFile(options.checkpoint);
  options.cancelled = nullptr;
  options.progress = nullptr;
  for (const std::size_t size : {std::size_t{0}, std::size_t{30}, bytes.size() / 2, bytes.size() - 1}) {
    testing_support::WriteWholeFile(options.checkpoint, bytes.substr(0, size));
    EXPECT_THAT(TrainTree(Data(), options), StatusIs(absl::StatusCode::kDataLoss)) << size;
  }
  testing_support::WriteWholeFile(options.checkpoint, bytes);
  ASSERT_OK_AND_ASSIGN(const TrainedTree resumed, TrainTree(Data(), options));
  ExpectEqual(whole.tree, resumed.tree);
  EXPECT_FALSE(storage::PathExists(options.checkpoint));
}

TEST_F(TreeTrainerTest, JudgedDocumentsComeNearer) {
  // Every query's relevant document is one that is not near it.
  TreeTrainingData data = Data();
  for (std::size_t i = 0; i < queries_.rows(); ++i) {
    data.relevant.push_back({static_cast<std::uint32_t>((i * 3 + 700) % documents_.rows())});
  }
  const auto shared = [&](const SplitTree& tree) {
    base::AlignedMatrix a, b;
    AssignMany(tree, queries_.view(), 1, &a);
    AssignMany(tree, documents_.view(), 1, &b);
    double sum = 0;
    for (std::size_t i = 0; i < queries_.rows(); ++i) {
      for (std::size_t v = 32; v < 64; ++v) sum += std::min(a.row(i)[v], b.row(data.relevant[i][0])[v]);
    }
    return sum;
  };
  ASSERT_OK_AND_ASSIGN(const TrainedTree without, TrainTree(Data(), Options()));
  TreeTrainingOptions options = Options();
  options.label_share = 0.9f;
  options.patience = 100;
  ASSERT_OK_AND_ASSIGN(const TrainedTree with, TrainTree(data, options));
  EXPECT_EQ(with.report.judged, 400u);  // a fifth is held out
  EXPECT_GT(shared(with.tree), shared(without.tree));
}

TEST_F(TreeTrainerTest, RefusesWhatItCannotLearnFrom) {
  TreeTrainingData few = Data();
  few.documents = few.documents.First(20);
  EXPECT_THAT(TrainTree(few, Options()), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                  HasSubstr("20 documents, expected at least 64")));
  TreeTrainingData uneven = Data();
  uneven.relevant.resize(3);
  EXPECT_THAT(TrainTree(uneven, Options()), StatusIs(absl::StatusCode::kInvalidArgument));
  TreeTrainingOptions deep = Options();
  deep.depth = 13;
  EXPECT_THAT(TrainTree(Data(), deep),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("depth: 13, expected 1 to 12")));
}

TEST(NearestDocumentsTest, AreThoseOfASlowSearch) {
  const base::AlignedMatrix documents = testing_support::ClusteredVectors(5000, 9, base::Metric::kCosine, 1);
  const base::AlignedMatrix queries = testing_support::ClusteredVectors(300, 9, base::Metric::kCosine, 2);
  const std::vector<std::uint32_t> except(queries.rows(), 17);
  for (const int threads : {1, 3}) {
    const auto near = NearestDocuments(queries.view(), documents.view(), except, 10, threads);
    for (std::size_t i = 0; i < queries.rows(); i += 23) {
      const auto slow =
          testing_support::SlowSearch(documents.view(), base::Metric::kInnerProduct, queries.row(i), 11);
      std::vector<std::uint32_t> expected;
      for (const base::Neighbor& one : slow) {
        if (one.row != 17 && expected.size() < 10) expected.push_back(one.row);
      }
      EXPECT_EQ(near[i], expected);
    }
  }
}

}  // namespace
}  // namespace trivium::routing
