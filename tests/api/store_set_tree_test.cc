// SPDX-License-Identifier: Apache-2.0
// Trees that were made elsewhere: given, searched, kept through every operation, taken away, and what they
// refuse.
#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/tree/tree_file.h"
#include "tests/support/slow_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::RandomDistributions;
using testing_support::ReadWholeFile;
using testing_support::SlowShare;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kDepth = 5, kLeaves = 32, kDocuments = 300;

class SetTreeTest : public ::testing::TestWithParam<double> {
 protected:
  SetTreeTest()
      : rows_(RandomDistributions(kDocuments + 60, kDepth, GetParam(), 1)),
        questions_(RandomDistributions(12, kDepth, GetParam(), 2)) {
    for (std::size_t j = 0; j < kLeaves; ++j) rows_.row(0)[j] *= 20;  // at any scale
    Open();
    EXPECT_OK(store_->AddSpace({.name = "leaves", .dimension = kLeaves}));
    Write(0, kDocuments / 2, "even");
    Write(kDocuments / 2, kDocuments, "odd");
  }

  void Open() {
    store_.reset();
    auto opened = Store::Open(path());
    ASSERT_OK(opened.status());
    store_ = *std::move(opened);
  }
  std::string path() const { return dir_.File("kb"); }

  absl::Status TryWrite(const std::vector<std::string>& ids, const std::vector<float>& rows,
                        const std::string& partition = "even") {
    UpsertBatch batch;
    batch.ids = ids;
    batch.vectors = {{"leaves", {rows.data(), ids.size(), kLeaves}}};
    batch.partition = partition;
    return store_->Upsert(batch).status();
  }
  void Write(std::size_t first, std::size_t last, const std::string& partition) {
    std::vector<std::string> ids;
    std::vector<float> rows;
    for (std::size_t i = first; i < last; ++i) {
      ids.push_back(std::to_string(i));
      live_[ids.back()] = rows_.row(i);
      rows.insert(rows.end(), rows_.row(i), rows_.row(i) + kLeaves);
    }
    ASSERT_OK(TryWrite(ids, rows, partition));
  }
  void Delete(const std::string& id) {
    live_.erase(id);
    EXPECT_THAT(store_->Delete({{id}}, std::nullopt, ""), IsOkAndHolds(1u));
  }

  std::vector<std::string> Files(const std::string& ending) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path() + "/segments")) {
      if (entry.path().extension() == ending) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  absl::StatusOr<SearchResult> Search(const float* question, std::size_t level = 0,
                                      IndexChoice index = IndexChoice::kTree) const {
    Query query;
    query.vectors = {{"leaves", {question, 1, kLeaves}}};
    SearchOptions options;
    options.index = index;
    options.level = level;
    return store_->Search(query, options);
  }

  // What was found shares about as much as the best do, and the scores say so.
  void ExpectNearlyExactAnswers() const {
    for (std::size_t q = 0; q < questions_.rows(); ++q) {
      for (std::size_t level = 1; level <= kDepth; ++level) {
        std::vector<double> best;
        for (const auto& [id, row] : live_) {
          best.push_back(SlowShare(row, questions_.row(q), kDepth, level));
        }
        std::sort(best.rbegin(), best.rend());
        ASSERT_OK_AND_ASSIGN(const SearchResult result, Search(questions_.row(q), level));
        ASSERT_EQ(result.hits.size(), 10u);
        for (std::size_t i = 0; i < 10; ++i) {
          const Hit& hit = result.hits[i];
          ASSERT_TRUE(live_.count(hit.id) > 0) << hit.id;
          const double shared = SlowShare(live_.at(hit.id), questions_.row(q), kDepth, level);
          EXPECT_NEAR(shared, best[i], 0.05) << level;
          EXPECT_NEAR(hit.score, shared, 0.05) << level;
        }
      }
    }
  }

  TempDir dir_{TempDir::kMemory};
  base::AlignedMatrix rows_, questions_;
  std::map<std::string, const float*> live_;
  std::unique_ptr<Store> store_;
};
INSTANTIATE_TEST_SUITE_P(Sharpness, SetTreeTest, ::testing::Values(0.3, 2.0, 8.0));

TEST_P(SetTreeTest, RanksByWhatDistributionsShareThroughEveryOperation) {
  ASSERT_OK(store_->Build().status());
  Write(kDocuments, kDocuments + 20, "even");
  ASSERT_OK(store_->SetTree());
  EXPECT_EQ(Files(".leaves").size(), 2u);
  ExpectNearlyExactAnswers();
  Write(kDocuments + 20, kDocuments + 60, "odd");
  for (const char* id : {"3", "250", "305"}) Delete(id);
  ExpectNearlyExactAnswers();
  Open();
  ExpectNearlyExactAnswers();
  ASSERT_OK(store_->Build().status());
  EXPECT_EQ(Files(".leaves").size(), Files(".seg").size());
  ExpectNearlyExactAnswers();
  Delete("7");
  ASSERT_OK(store_->Compact().status());
  Open();
  ExpectNearlyExactAnswers();
  ASSERT_OK(store_->Verify().status());
  ASSERT_OK(store_->Snapshot(dir_.File("copy")));
  store_.reset();
  std::filesystem::remove_all(path());
  ASSERT_OK(Store::Restore(dir_.File("copy"), path()));
  Open();
  ExpectNearlyExactAnswers();
  ASSERT_OK(store_->SetTree({.space = "leaves", .threads = 1}));  // again
  EXPECT_EQ(Files(".tree").size(), 1u);
  EXPECT_EQ(Files(".leaves").size(), Files(".seg").size());
  ExpectNearlyExactAnswers();
  for (const Profile profile :
       {Profile::kBalanced, Profile::kSmall}) {  // rounded rows are distributions, too
    BuildOptions build;
    build.profile = profile;
    ASSERT_OK(store_->Compact(build).status());
    ASSERT_OK(store_->SetTree());
    ExpectNearlyExactAnswers();
  }
}

TEST_P(SetTreeTest, IsToldOf) {
  ASSERT_OK(store_->SetTree());
  for (int again = 0; again < 2; ++again) {
    ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
    const TreeInfo& tree = info.spaces[0].tree;
    EXPECT_TRUE(tree.present && tree.enabled && tree.given);
    EXPECT_EQ(tree.depth, kDepth);
    EXPECT_EQ(tree.documents, kDocuments);
    EXPECT_EQ(tree.queries, 0u);
    EXPECT_THAT(tree.reason, HasSubstr("given; bytes keep"));
    Open();
  }
  InspectTreeOptions options;
  options.levels = kDepth;
  options.question.vectors = {{"leaves", {rows_.row(8), 1, kLeaves}}};
  options.document = "8";
  ASSERT_OK_AND_ASSIGN(const TreeInspection path, store_->InspectTree(options));
  ASSERT_EQ(path.path.size(), kDepth + 1);
  for (const TreeStep& step : path.path) EXPECT_FALSE(step.left);
  options.question = {};
  options.document.clear();
  ASSERT_OK_AND_ASSIGN(const TreeInspection told, store_->InspectTree(options));
  ASSERT_EQ(told.nodes.size(), 2 * kLeaves - 1);
  EXPECT_NEAR(told.nodes[0].documents, kDocuments, 0.01);
  double leaf = 0;  // the first
  for (std::size_t i = 0; i < kDocuments; ++i) {
    double whole = 0;
    for (std::size_t j = 0; j < kLeaves; ++j) whole += rows_.row(i)[j];
    leaf += rows_.row(i)[0] / whole;
  }
  EXPECT_NEAR(told.nodes[kLeaves - 1].documents, leaf, 0.01);
}

TEST_P(SetTreeTest, RefusesWhatIsBelowZeroFromThenOn) {
  std::vector<float> wrong(2 * kLeaves, 1);
  wrong[kLeaves + 3] = -0.25f;
  ASSERT_OK(TryWrite({"1", "wrong"}, wrong));
  EXPECT_THAT(store_->SetTree(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("document 'wrong' of partition 'even', component 3: -0.")));
  EXPECT_TRUE(Files(".tree").empty());
  ASSERT_OK(store_->Delete({{"wrong"}}, std::nullopt, "").status());
  ASSERT_OK(store_->SetTree());
  EXPECT_THAT(
      TryWrite({"fine", "wrong"}, wrong),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "vector of space 'leaves', row 1, component 3: -0.25, expected 0 or more, the share of a leaf "
               "(the tree of space 'leaves' is given)"));
  EXPECT_THAT(store_->Count("", std::nullopt), IsOkAndHolds(kDocuments));
  for (const IndexChoice index : {IndexChoice::kTree, IndexChoice::kExact}) {
    EXPECT_THAT(Search(wrong.data() + kLeaves, 0, index),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("row 0, component 3: -0.25")));
  }
  ASSERT_OK(store_->SetTree({.space = "leaves", .given = false}));
  ASSERT_OK(TryWrite({"fine", "wrong"}, wrong));
}

TEST_P(SetTreeTest, IsTakenAway) {
  EXPECT_THAT(
      store_->SetTree({.given = false}),
      StatusIs(absl::StatusCode::kNotFound, "tree: none in space 'leaves', expected one to take away"));
  ASSERT_OK(store_->Build().status());
  Write(kDocuments, kDocuments + 20, "even");
  ASSERT_OK(store_->SetTree());
  ASSERT_OK(store_->SetTree({.given = false}));
  EXPECT_TRUE(Files(".tree").empty() && Files(".leaves").empty());
  for (int again = 0; again < 2; ++again) {
    EXPECT_THAT(Search(questions_.row(0)), StatusIs(absl::StatusCode::kFailedPrecondition));
    ASSERT_OK_AND_ASSIGN(const SearchResult result, Search(questions_.row(0), 0, IndexChoice::kExact));
    EXPECT_EQ(result.hits.size(), 10u);
    Open();
  }
  ASSERT_OK(store_->Compact().status());
  ASSERT_OK(store_->Verify().status());
  ASSERT_OK(store_->SetTree());
  ExpectNearlyExactAnswers();
}

TEST_P(SetTreeTest, IsReplacedByTrainingOfTheSpaceByName) {
  ASSERT_OK(store_->SetTree());
  TrainTreeOptions options;
  options.training = {.depth = 4, .steps = 20, .threads = 1, .ignore_gate = true};
  EXPECT_THAT(store_->TrainTree(options),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("without a given tree")));
  options.space = "leaves";
  ASSERT_OK(store_->TrainTree(options).status());
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  EXPECT_FALSE(info.spaces[0].tree.given);
  EXPECT_EQ(info.spaces[0].tree.depth, 4u);
  std::vector<float> negative(kLeaves, 1);
  negative[0] = -1;
  EXPECT_OK(TryWrite({"negative"}, negative));
  ASSERT_OK(store_->Delete({{"negative"}}, std::nullopt, "").status());
  ASSERT_OK(store_->SetTree());
  EXPECT_EQ(Files(".tree").size(), 1u);
  ExpectNearlyExactAnswers();
}

TEST_P(SetTreeTest, SaysWhatIsWrong) {
  ASSERT_OK(store_->AddSpace({.name = "odd", .dimension = 12}));
  ASSERT_OK(store_->AddSpace({.name = "one", .dimension = 1}));
  ASSERT_OK(store_->AddSpace({.name = "large", .dimension = 8192}));
  ASSERT_OK(store_->AddSpace({.name = "flat", .dimension = 16, .metric = Metric::kSquaredL2}));
  ASSERT_OK(store_->AddSpace({.name = "empty", .dimension = 16}));
  const auto refused = [&](const char* space) {
    return std::string(store_->SetTree({.space = space}).message());
  };
  EXPECT_EQ(refused("odd"),
            "tree: space 'odd' has dimension 12, expected a power of two from 2 to 4096, the leaves");
  EXPECT_THAT(refused("one"), HasSubstr("dimension 1,"));
  EXPECT_THAT(refused("large"), HasSubstr("dimension 8192,"));
  EXPECT_EQ(refused("flat"), "tree: space 'flat' has metric squared_l2, expected cosine");
  EXPECT_THAT(refused("empty"), HasSubstr("no document with a vector in space 'empty'"));
  EXPECT_THAT(store_->SetTree({.space = "absent"}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->SetTree(), StatusIs(absl::StatusCode::kInvalidArgument));  // which?
  EXPECT_THAT(store_->SetTree({.space = "leaves", .threads = -1}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("threads: -1")));
  EXPECT_TRUE(Files(".tree").empty());
}

TEST_P(SetTreeTest, AnAdaptersReadingBelowZeroCountsAsZero) {
  ASSERT_OK(store_->SetTree());
  SetAdapterOptions adapter;  // the first leaf is subtracted
  adapter.matrix.assign(kLeaves * kLeaves, 0);
  for (std::size_t i = 1; i < kLeaves; ++i) {
    adapter.matrix[i * kLeaves + i] = 1;
    adapter.matrix[i * kLeaves] = -1000;
  }
  ASSERT_OK(store_->SetAdapter(adapter));
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Search(questions_.row(0)));
  EXPECT_EQ(result.hits.size(), 10u);
}

TEST_P(SetTreeTest, RefusesAFileOfAnotherKind) {
  ASSERT_OK(store_->SetTree());
  ASSERT_OK(store_->Close());
  const std::string file = Files(".tree").front(), bytes = ReadWholeFile(file);
  for (std::size_t at = 0; at < bytes.size(); at += 211) {
    WriteWholeFile(file, std::string_view(bytes).substr(0, at));
    EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss)) << at;
  }
  std::filesystem::remove(file);
  ASSERT_OK(routing::WriteTree(testing_support::RandomTree(kLeaves, kDepth, 0, 1), file));
  EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("learned, expected")));
}

}  // namespace
}  // namespace trivium
