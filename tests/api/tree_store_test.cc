// SPDX-License-Identifier: Apache-2.0
// Trees of a store: trained, searched, kept through every operation, refused where they are damaged.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/tree/tree_file.h"
#include "tests/support/random_vectors.h"
#include "tests/support/slow_tree.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using ::testing::HasSubstr;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kDimension = 24, kDocuments = 400, kDepth = 6;

base::AlignedMatrix Vectors(std::size_t rows, std::uint64_t seed) {
  return testing_support::ClusteredVectors(rows, kDimension, base::Metric::kCosine, seed, 12);
}

// Rows without padding.
std::vector<float> Flat(const base::AlignedMatrix& matrix, std::size_t first, std::size_t count) {
  std::vector<float> values;
  for (std::size_t i = first; i < first + count; ++i) {
    values.insert(values.end(), matrix.row(i), matrix.row(i) + matrix.columns());
  }
  return values;
}

// A store with documents "0", "1", ... in the partitions `even` and `odd`, and the model it is judged by.
class TreeStoreTest : public ::testing::Test {
 protected:
  TreeStoreTest() : vectors_(Vectors(kDocuments + 100, 1)), questions_(Vectors(20, 2)) {
    Open();
    EXPECT_OK(store_->AddSpace({.name = "dense", .dimension = kDimension}));
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

  void Write(std::size_t first, std::size_t last, const std::string& partition) {
    std::vector<std::string> ids, metadata;
    for (std::size_t i = first; i < last; ++i) {
      ids.push_back(std::to_string(i));
      metadata.push_back(i % 3 == 0 ? R"({"third":true})" : "");
      live_.insert(i);
    }
    const std::vector<float> rows = Flat(vectors_, first, last - first);
    UpsertBatch batch;
    batch.ids = ids;
    batch.metadata = metadata;
    batch.vectors = {{"dense", {rows.data(), last - first, kDimension}}};
    batch.partition = partition;
    ASSERT_OK(store_->Upsert(batch).status());
  }
  void Delete(std::size_t document) {
    live_.erase(document);
    EXPECT_THAT(store_->Delete({{std::to_string(document)}}, std::nullopt, ""), IsOkAndHolds(1u));
  }

  static TrainTreeOptions Quick() {
    TrainTreeOptions options;
    options.training = {.depth = kDepth, .steps = 20, .threads = 1, .ignore_gate = true};
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

  Query Question(std::size_t i) const {
    Query query;
    query.vectors = {{"dense", {questions_.row(i), 1, kDimension}}};
    return query;
  }
  absl::StatusOr<SearchResult> Search(std::size_t question, std::size_t level,
                                      std::string filter = "") const {
    SearchOptions options;
    options.index = IndexChoice::kTree;
    options.level = level;
    options.filter = std::move(filter);
    return store_->Search(Question(question), options);
  }

  struct Shares {
    std::vector<float> best;  // ten, best first
    std::map<std::string, float> of_each;
    float unit = 0;  // of masses at the level
  };
  // What every document shares with a question, by comparing all.
  Shares SlowSearch(std::size_t question, std::size_t level, bool thirds = false) const {
    const auto tree = routing::OpenTree(Files(".tree").front());
    EXPECT_OK(tree.status());
    base::Bitmap allowed(vectors_.rows());
    for (const std::size_t document : live_) {
      if (!thirds || document % 3 == 0) allowed.Set(document);
    }
    Shares shares;
    shares.unit = tree->mass_unit * static_cast<float>(std::size_t{1} << (tree->depth - level));
    for (const base::Neighbor& neighbor : testing_support::SlowTreeSearch(
             *tree, vectors_.view(), questions_.row(question), level, vectors_.rows(), &allowed)) {
      shares.of_each[std::to_string(neighbor.row)] = 1 - neighbor.distance;
      if (shares.best.size() < 10) shares.best.push_back(1 - neighbor.distance);
    }
    return shares;
  }
  // Up to a few units of mass, by which a product of many rows at once may differ from one of a row.
  static void ExpectBest(const SearchResult& result, const Shares& shares) {
    const float units = 3 * shares.unit;
    ASSERT_EQ(result.hits.size(), shares.best.size());
    for (std::size_t i = 0; i < result.hits.size(); ++i) {
      const Hit& hit = result.hits[i];
      EXPECT_NEAR(hit.score, shares.best[i], units) << i;
      ASSERT_TRUE(shares.of_each.count(hit.id) > 0) << hit.id;
      EXPECT_NEAR(hit.score, shares.of_each.at(hit.id), units) << hit.id;
      EXPECT_EQ(hit.similarity, hit.score);
    }
  }
  void ExpectTrueAnswers() const {
    for (std::size_t question = 0; question < questions_.rows(); question += 3) {
      for (std::size_t level = 1; level <= kDepth; ++level) {
        ASSERT_OK_AND_ASSIGN(const SearchResult result, Search(question, level));
        ExpectBest(result, SlowSearch(question, level));
      }
    }
  }

  TempDir dir_{TempDir::kMemory};
  base::AlignedMatrix vectors_, questions_;
  std::set<std::size_t> live_;  // documents: rows of vectors_
  std::unique_ptr<Store> store_;
};

TEST_F(TreeStoreTest, RanksByWhatIsSharedThroughEveryOperation) {
  ASSERT_OK(store_->Build().status());
  Write(kDocuments, kDocuments + 20, "even");
  Train();
  EXPECT_EQ(Files(".leaves").size(), 2u);
  ExpectTrueAnswers();
  Write(kDocuments + 20, kDocuments + 60, "odd");
  Write(kDocuments + 60, kDocuments + 61, "new");
  for (const std::size_t document : {3, 250, 405, 430}) Delete(document);
  ExpectTrueAnswers();
  Open();
  ExpectTrueAnswers();
  ASSERT_OK(store_->Build().status());
  EXPECT_EQ(Files(".leaves").size(), Files(".seg").size());
  ExpectTrueAnswers();
  Delete(7);
  ASSERT_OK(store_->Compact().status());
  EXPECT_EQ(Files(".leaves").size(), 3u);
  Open();
  ExpectTrueAnswers();
  ASSERT_OK(store_->Verify().status());
  ASSERT_OK(store_->Snapshot(dir_.File("copy")));
  store_.reset();
  std::filesystem::remove_all(path());
  ASSERT_OK(Store::Restore(dir_.File("copy"), path()));
  Open();
  ExpectTrueAnswers();
}

TEST_F(TreeStoreTest, FindsWhatAFilterLetsPass) {
  Train();
  ASSERT_OK_AND_ASSIGN(const SearchResult result,
                       Search(4, 0, R"({"field":"third","op":"==","value":true})"));
  ExpectBest(result, SlowSearch(4, kDepth, /*thirds=*/true));
  EXPECT_GT(result.trace.distances.at("code"), 0u);
  EXPECT_GT(result.trace.bytes_read, 0u);
  EXPECT_EQ(result.trace.distances.at("scan"), 0u);
}

TEST_F(TreeStoreTest, AnswersABatchAsOneByOne) {
  ASSERT_OK(store_->Build().status());
  Train();
  SearchOptions options;
  options.index = IndexChoice::kTree;
  options.level = 4;
  const std::vector<float> rows = Flat(questions_, 0, questions_.rows());
  ASSERT_OK_AND_ASSIGN(
      const BatchResult batch,
      store_->SearchBatch({{"dense", {rows.data(), questions_.rows(), kDimension}}}, {}, options, 2));
  for (std::size_t i = 0; i < questions_.rows(); ++i) {
    ASSERT_OK_AND_ASSIGN(const SearchResult one, Search(i, 4));
    for (std::size_t h = 0; h < one.hits.size(); ++h) EXPECT_EQ(batch.ids[i][h], one.hits[h].id);
  }
}

TEST_F(TreeStoreTest, TellsWhatItLearned) {
  TrainTreeOptions options = Quick();
  QuerySet set;
  set.vectors = {{"dense", {questions_.row(0), 1, kDimension}}};
  set.judgements = {{{"5"}, {"absent"}}};
  options.queries = {set};
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
  EXPECT_EQ(report.unknown_judgements, 1u);
  ASSERT_EQ(report.spaces.size(), 1u);
  const TrainedSpaceTree& told = report.spaces.front();
  EXPECT_EQ(told.space, "dense");
  EXPECT_EQ(told.documents, kDocuments);
  EXPECT_EQ(told.depth, kDepth);
  EXPECT_TRUE(told.enabled);
  ASSERT_FALSE(told.levels.empty());
  EXPECT_EQ(told.levels.back().level, kDepth);
  EXPECT_EQ(told.levels.back().bytes_per_document, 64u);
  EXPECT_THAT(told.reason, HasSubstr("untrained"));
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  EXPECT_TRUE(info.spaces[0].tree.present);
  EXPECT_EQ(info.spaces[0].tree.depth, kDepth);
  EXPECT_EQ(info.spaces[0].tree.levels.size(), told.levels.size());
  Open();
  ASSERT_OK_AND_ASSIGN(const StoreInfo again, store_->Inspect());
  EXPECT_EQ(again.spaces[0].tree.reason, info.spaces[0].tree.reason);
  EXPECT_EQ(again.spaces[0].tree.documents, kDocuments);
}

TEST_F(TreeStoreTest, AHigherEntropyWeightMakesSharperTrees) {
  std::vector<double> entropies;
  for (const double weight : {0.0, 2.0, 20.0}) {
    TrainTreeOptions options = Quick();
    options.training.steps = 300;
    options.training.entropy_weight = weight;
    ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
    entropies.push_back(report.spaces.front().levels.back().entropy);
  }
  EXPECT_GT(entropies[0], entropies[1]);
  EXPECT_GT(entropies[1], entropies[2]);
}

TEST_F(TreeStoreTest, ChoosesADepthForAsManyDocuments) {
  TrainTreeOptions options = Quick();
  options.training.depth = 0;
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
  EXPECT_EQ(report.spaces.front().depth, 6u);  // 256 to 511 documents
}

TEST_F(TreeStoreTest, KeepsOutWhatTheGateRejects) {
  // Documents that are all alike: there is nothing to be better at.
  ASSERT_OK(store_->AddSpace({.name = "alike", .dimension = 2}));
  std::vector<std::string> ids;
  for (int i = 0; i < 100; ++i) ids.push_back("same" + std::to_string(i));
  const std::vector<float> rows(200, 1);
  UpsertBatch batch;
  batch.ids = ids;
  batch.vectors = {{"alike", {rows.data(), 100, 2}}};
  ASSERT_OK(store_->Upsert(batch).status());
  TrainTreeOptions options = Quick();
  options.space = "alike";
  options.training.ignore_gate = false;
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(options));
  EXPECT_FALSE(report.spaces.front().enabled);
  EXPECT_THAT(report.spaces.front().reason, HasSubstr("not better"));
  EXPECT_TRUE(Files(".tree").empty() && Files(".leaves").empty());
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  EXPECT_FALSE(info.spaces[1].tree.present);
  options.training.ignore_gate = true;
  ASSERT_OK(store_->TrainTree(options).status());
  ASSERT_OK_AND_ASSIGN(const StoreInfo kept, store_->Inspect());
  EXPECT_TRUE(kept.spaces[1].tree.present);
  EXPECT_FALSE(kept.spaces[1].tree.enabled);
}

TEST_F(TreeStoreTest, TakesThePlaceOfTheTreeBefore) {
  ASSERT_OK(store_->Build().status());
  Train();
  const std::vector<std::string> trees = Files(".tree"), leaves = Files(".leaves");
  TrainTreeOptions other = Quick();
  other.training.seed = 9;
  ASSERT_OK(store_->TrainTree(other).status());
  EXPECT_EQ(Files(".tree").size(), 1u);
  EXPECT_NE(Files(".tree"), trees);
  EXPECT_EQ(Files(".leaves").size(), leaves.size());
  EXPECT_NE(Files(".leaves"), leaves);
  ExpectTrueAnswers();
  ASSERT_OK(store_->Verify().status());
}

TEST_F(TreeStoreTest, LeavesNothingBehindWhereItIsCancelled) {
  ASSERT_OK(store_->Build().status());
  std::atomic<bool> cancelled{false};
  TrainTreeOptions options = Quick();
  options.training.cancelled = &cancelled;
  for (const bool at_first : {true, false}) {
    cancelled = at_first;
    options.training.progress = [&](std::string_view stage, std::uint64_t done, std::uint64_t) {
      if (stage == "leaves" && done > 0) cancelled = true;
    };
    EXPECT_THAT(store_->TrainTree(options), StatusIs(absl::StatusCode::kCancelled));
    EXPECT_TRUE(Files(".tree").empty() && Files(".leaves").empty());
    EXPECT_THAT(Search(0, 0), StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

TEST_F(TreeStoreTest, SaysWhatIsWrong) {
  EXPECT_THAT(Search(0, 0),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       "index: tree, expected a trained tree in space 'dense'; train it first"));
  Train();
  EXPECT_THAT(Search(0, kDepth + 1),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "level: 7, expected 1 to 6, the depth of the tree of space 'dense'"));
  SearchOptions options;
  options.level = 3;
  EXPECT_THAT(store_->Search(Question(0), options),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "level: 3 without index tree, expected it with index tree"));
  options.level = 0;
  options.probes = 3;
  EXPECT_THAT(store_->Search(Question(0), options),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("probes: 3 without index cells")));
  const auto train = [&](auto change) {
    TrainTreeOptions wrong = Quick();
    change(&wrong);
    return store_->TrainTree(wrong).status();
  };
  EXPECT_THAT(train([](TrainTreeOptions* o) { o->training.depth = 13; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("depth: 13")));
  EXPECT_THAT(train([](TrainTreeOptions* o) { o->training.steps = 0; }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("steps: 0")));
  for (const double weight : {-0.5, std::nan("")}) {
    EXPECT_THAT(train([&](TrainTreeOptions* o) { o->training.entropy_weight = weight; }),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("expected 0 or more")));
  }
  EXPECT_THAT(train([](TrainTreeOptions* o) {
                o->training.entropy_weight = 1;
                o->training.use = TreeUse::kPartition;
              }),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("entropy_weight: 1, expected 0 with")));
  EXPECT_THAT(train([](TrainTreeOptions* o) { o->space = "absent"; }), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK(store_->AddSpace({.name = "flat", .dimension = 3, .metric = Metric::kSquaredL2}));
  EXPECT_THAT(
      train([](TrainTreeOptions* o) { o->space = "flat"; }),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("metric squared_l2, expected cosine")));
  ASSERT_OK(store_->AddSpace({.name = "empty", .dimension = 3}));
  EXPECT_THAT(train([](TrainTreeOptions* o) { o->space = "empty"; }),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  // With another space that has enough it is told in the report.
  ASSERT_OK_AND_ASSIGN(const TrainTreeReport report, store_->TrainTree(Quick()));
  ASSERT_EQ(report.spaces.size(), 2u);
  EXPECT_EQ(report.spaces[1].depth, 0u);
  EXPECT_THAT(report.spaces[1].reason, HasSubstr("64"));
  EXPECT_THAT(Search(0, 0), StatusIs(absl::StatusCode::kFailedPrecondition));
  QuerySet unreadable;
  unreadable.texts = {"a text"};
  unreadable.judgements.resize(1);
  EXPECT_THAT(train([&](TrainTreeOptions* o) { o->queries = {unreadable}; }),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(TreeStoreTest, RefusesDamagedFiles) {
  ASSERT_OK(store_->Build().status());
  Train();
  ASSERT_OK(store_->Close());
  for (const std::string& file : {Files(".leaves").front(), Files(".tree").front()}) {
    const std::string bytes = ReadWholeFile(file);
    const std::string name = std::filesystem::path(file).filename().string();
    WriteWholeFile(file, std::string_view(bytes).substr(0, bytes.size() / 2));
    EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
    std::filesystem::remove(file);
    EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
    std::string flipped = bytes;
    flipped[flipped.size() - 4096 - 8] ^= 1;
    WriteWholeFile(file, flipped);
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(path());
    const absl::Status status = opened.ok() ? (*opened)->Verify().status() : opened.status();
    opened = absl::UnknownError("closed");
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kDataLoss, HasSubstr(name)));
    WriteWholeFile(file, bytes);
  }
  // Of other rows: well made, but not this one.
  const std::vector<std::string> leaves = Files(".leaves");
  Open();
  Write(kDocuments, kDocuments + 30, "third");
  ASSERT_OK(store_->Build().status());
  ASSERT_OK(store_->Close());
  std::filesystem::copy_file(leaves.front(), Files(".leaves").back(),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Store::Open(path()), StatusIs(absl::StatusCode::kDataLoss));
}

TEST_F(TreeStoreTest, IsAskedWhatTheAdapterOfAllDomainsMakesOfAQuestion) {
  SetAdapterOptions mirror;
  mirror.matrix.assign(kDimension * kDimension, 0);
  for (std::size_t i = 0; i < kDimension; ++i) mirror.matrix[i * kDimension + kDimension - 1 - i] = 1;
  ASSERT_OK(store_->SetAdapter(mirror));
  TrainTreeOptions options = Quick();
  QuerySet set;
  const std::vector<float> rows = Flat(questions_, 0, questions_.rows());
  set.vectors = {{"dense", {rows.data(), questions_.rows(), kDimension}}};
  options.queries = {set};
  ASSERT_OK(store_->TrainTree(options).status());
  ASSERT_OK_AND_ASSIGN(const SearchResult adapted, Search(0, kDepth));

  std::vector<float> mirrored(questions_.row(0), questions_.row(0) + kDimension);
  std::reverse(mirrored.begin(), mirrored.end());
  Query question;
  question.vectors = {{"dense", {mirrored.data(), 1, kDimension}}};
  SearchOptions plain;
  plain.index = IndexChoice::kTree;
  plain.adapters = AdapterUse::kNever;
  ASSERT_OK_AND_ASSIGN(const SearchResult expected, store_->Search(question, plain));
  ASSERT_EQ(adapted.hits.size(), expected.hits.size());
  for (std::size_t i = 0; i < expected.hits.size(); ++i) {
    EXPECT_NEAR(adapted.hits[i].score, expected.hits[i].score, 1e-3) << i;
  }
}

}  // namespace
}  // namespace trivium
