// SPDX-License-Identifier: Apache-2.0
// Cells of a store: trained, searched, kept through every operation, refused where they are damaged.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kDocuments = 500, kDepth = 4, kCells = 16;

// Rows of few dimensions lie in cells as they are, others as codes, too.
struct Kind {
  Metric metric;
  std::size_t dimension;
  bool has_codes() const { return dimension >= 64; }
};
constexpr Kind kKinds[] = {
    {Metric::kCosine, 16}, {Metric::kSquaredL2, 16}, {Metric::kCosine, 64}, {Metric::kSquaredL2, 64}};

// A store with documents "0", "1", ... in two partitions, sealed.
class CellsStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  CellsStoreTest() : vectors_(Vectors(kDocuments + 60, 1)), questions_(Vectors(150, 2)) {
    Open();
    EXPECT_OK(
        store_->AddSpace({.name = "dense", .dimension = GetParam().dimension, .metric = GetParam().metric}));
    Write(0, kDocuments / 2, "even");
    Write(kDocuments / 2, kDocuments, "odd");
    EXPECT_OK(store_->Build().status());
  }

  static base::AlignedMatrix Vectors(std::size_t rows, std::uint64_t seed) {
    const auto metric =
        GetParam().metric == Metric::kCosine ? base::Metric::kCosine : base::Metric::kSquaredL2;
    return testing_support::ClusteredVectors(rows, GetParam().dimension, metric, seed, 12);
  }
  void Open() {
    store_.reset();
    auto opened = Store::Open(path());
    ASSERT_OK(opened.status());
    store_ = *std::move(opened);
  }
  std::string path() const { return dir_.File("kb"); }

  void Write(std::size_t first, std::size_t last, const std::string& partition) {
    std::vector<std::string> ids;
    for (std::size_t i = first; i < last; ++i) ids.push_back(std::to_string(i));
    UpsertBatch batch;
    batch.ids = ids;  // rows of 16 or 64 floats have no padding
    batch.vectors = {{"dense", {vectors_.row(first), last - first, GetParam().dimension}}};
    batch.partition = partition;
    ASSERT_OK(store_->Upsert(batch).status());
  }
  TrainTreeOptions Quick() const {
    TrainTreeOptions options;
    options.training = {.use = TreeUse::kPartition, .depth = kDepth, .threads = 1};
    QuerySet set;
    set.vectors = {{"dense", {questions_.row(0), questions_.rows(), GetParam().dimension}}};
    options.queries = {set};
    return options;
  }
  void Train() { ASSERT_OK(store_->TrainTree(Quick()).status()); }

  std::vector<std::string> Files(const std::string& ending) const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path() + "/segments")) {
      if (entry.path().extension() == ending) files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  absl::StatusOr<SearchResult> Search(std::size_t question, IndexChoice index, std::size_t probes = 0) const {
    SearchOptions options;
    options.index = index;
    options.probes = probes;
    Query query;
    query.vectors = {{"dense", {questions_.row(question), 1, GetParam().dimension}}};
    return store_->Search(query, options);
  }
  std::set<std::string> Ids(std::size_t question, IndexChoice index, std::size_t probes = 0) const {
    const auto result = Search(question, index, probes);
    EXPECT_OK(result.status());
    std::set<std::string> ids;
    for (const Hit& hit : result->hits) ids.insert(hit.id);
    return ids;
  }
  // All cells give the exact answer; as many as were calibrated nearly so, with fewer distances.
  void ExpectGoodAnswers() const {
    std::size_t found = 0, count = 0;
    for (std::size_t question = 0; question < questions_.rows(); question += 10) {
      const std::set<std::string> exact = Ids(question, IndexChoice::kExact);
      EXPECT_EQ(Ids(question, IndexChoice::kCells, kCells), exact) << question;
      for (const std::string& id : Ids(question, IndexChoice::kCells)) found += exact.count(id);
      count += exact.size();
    }
    EXPECT_GE(static_cast<double>(found), 0.85 * static_cast<double>(count));
  }

  TempDir dir_{TempDir::kMemory};
  base::AlignedMatrix vectors_, questions_;
  std::unique_ptr<Store> store_;
};

TEST_P(CellsStoreTest, FindsTheNearestThroughEveryOperation) {
  Train();
  EXPECT_EQ(Files(".cells").size(), 1u);
  EXPECT_EQ(Files(".lists").size(), 2u);
  ExpectGoodAnswers();
  Write(kDocuments, kDocuments + 40, "odd");  // not sealed
  EXPECT_THAT(store_->Delete({{"3", "300", "510"}}, std::nullopt, ""), IsOkAndHolds(3u));
  ExpectGoodAnswers();
  Open();
  ExpectGoodAnswers();
  ASSERT_OK(store_->Build().status());
  EXPECT_EQ(Files(".lists").size(), Files(".seg").size());
  ExpectGoodAnswers();
  ASSERT_OK(store_->Compact().status());
  EXPECT_EQ(Files(".lists").size(), 2u);
  ExpectGoodAnswers();
  ASSERT_OK(store_->Verify().status());
  ASSERT_OK(store_->Snapshot(dir_.File("copy")));
  store_.reset();
  std::filesystem::remove_all(path());
  ASSERT_OK(Store::Restore(dir_.File("copy"), path()));
  Open();
  ExpectGoodAnswers();
}

TEST_P(CellsStoreTest, ReadsFewerVectorsFromFewerCells) {
  Train();
  ASSERT_OK_AND_ASSIGN(const SearchResult one, Search(7, IndexChoice::kCells, 1));
  ASSERT_OK_AND_ASSIGN(const SearchResult all, Search(7, IndexChoice::kCells, kCells));
  EXPECT_EQ(one.hits.size(), 10u);
  if (GetParam().has_codes()) {
    EXPECT_LT(one.trace.distances.at("code"), all.trace.distances.at("code") / 4);
    EXPECT_GE(all.trace.distances.at("code"), kDocuments);
    EXPECT_LT(all.trace.distances.at("scan"), kDocuments);
  } else {
    EXPECT_LT(one.trace.distances.at("scan"), all.trace.distances.at("scan") / 4);
    EXPECT_EQ(all.trace.distances.at("scan"), kDocuments);
  }
  EXPECT_GT(one.trace.distances.at("code"), 0u);  // products that chose the cells
}

TEST_P(CellsStoreTest, TellsWhatItLearned) {
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(Quick()));
  EXPECT_EQ(report.use, TreeUse::kPartition);
  ASSERT_EQ(report.spaces.size(), 1u);
  const TrainedSpaceTree& told = report.spaces.front();
  EXPECT_EQ(told.documents, kDocuments);
  EXPECT_EQ(told.queries, questions_.rows());
  EXPECT_EQ(told.depth, kDepth);
  EXPECT_TRUE(told.enabled);
  ASSERT_TRUE(told.cells.has_value());
  EXPECT_EQ(told.cells->cells, kCells);
  EXPECT_GE(told.cells->largest_cell, kDocuments / kCells);
  ASSERT_FALSE(told.cells->routers.empty());
  EXPECT_EQ(told.cells->routers.front().router, "centroids");
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  EXPECT_TRUE(info.spaces[0].cells.present);
  EXPECT_FALSE(info.spaces[0].tree.present);
  EXPECT_EQ(info.spaces[0].cells.cells, kCells);
  EXPECT_EQ(info.spaces[0].cells.router, told.cells->router);
  Open();
  ASSERT_OK_AND_ASSIGN(const StoreInfo again, store_->Inspect());
  EXPECT_EQ(again.spaces[0].cells.reason, info.spaces[0].cells.reason);
}

TEST_P(CellsStoreTest, NeedsNoQueries) {
  TrainTreeOptions options = Quick();
  options.queries.clear();
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
  EXPECT_EQ(report.spaces.front().cells->router, "centroids");
  options.training.depth = 0;
  ASSERT_OK(store_->TrainTree(options).status());
  EXPECT_EQ(Files(".cells").size(), 1u);
}

TEST_P(CellsStoreTest, UsesALearnedRouterWhereTheGateIsIgnored) {
  TrainTreeOptions options = Quick();
  options.training.ignore_gate = true;
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
  EXPECT_NE(report.spaces.front().cells->router, "centroids");
  ExpectGoodAnswers();
  Open();
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  EXPECT_EQ(info.spaces[0].cells.router, report.spaces.front().cells->router);
  ExpectGoodAnswers();
}

TEST_P(CellsStoreTest, SaysWhatIsWrong) {
  EXPECT_THAT(Search(0, IndexChoice::kCells),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "index: cells, expected trained cells in space 'dense'; train them first"));
  Train();
  EXPECT_THAT(Search(0, IndexChoice::kCells, kCells + 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "probes: 17, expected 1 to 16, the cells of space 'dense'"));
  EXPECT_THAT(Search(0, IndexChoice::kTree), StatusIs(absl::StatusCode::kFailedPrecondition));
  TrainTreeOptions options = Quick();
  options.training.mlp = true;
  EXPECT_THAT(store_->TrainTree(options), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mlp")));
  options = Quick();
  options.training.depth = 16;
  EXPECT_THAT(store_->TrainTree(options), StatusIs(absl::StatusCode::kInvalidArgument));
  ASSERT_OK(store_->AddSpace({.name = "empty", .dimension = 3}));
  options.space = "empty";
  options.queries.clear();
  EXPECT_THAT(store_->TrainTree(options), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_P(CellsStoreTest, LeavesNothingBehindWhereItIsCancelled) {
  std::atomic<bool> cancelled{false};
  TrainTreeOptions options = Quick();
  options.training.cancelled = &cancelled;
  options.training.progress = [&](std::string_view stage, std::uint64_t done, std::uint64_t) {
    if (stage == "leaves" && done > 0) cancelled = true;
  };
  EXPECT_THAT(store_->TrainTree(options), StatusIs(absl::StatusCode::kCancelled));
  EXPECT_TRUE(Files(".cells").empty() && Files(".lists").empty());
}

TEST_P(CellsStoreTest, RefusesDamagedFiles) {
  Train();
  ASSERT_OK(store_->Close());
  for (const std::string& file : {Files(".lists").front(), Files(".cells").front()}) {
    const std::string bytes = ReadWholeFile(file);
    const std::string name = std::filesystem::path(file).filename().string();
    WriteWholeFile(file, std::string_view(bytes).substr(0, bytes.size() / 2));
    EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
    std::filesystem::remove(file);
    EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
    WriteWholeFile(file, bytes);
  }
  Open();
  ExpectGoodAnswers();
}

INSTANTIATE_TEST_SUITE_P(Metrics, CellsStoreTest, ::testing::ValuesIn(kKinds), [](const auto& info) {
  return std::string(MetricName(info.param.metric)) + (info.param.has_codes() ? "_by_codes" : "");
});

}  // namespace
}  // namespace trivium
