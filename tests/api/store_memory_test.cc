// SPDX-License-Identifier: Apache-2.0
// Answers remembered, from training to searches, and what damage to them does.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using testing_support::ClusteredQueries;
using testing_support::TempDir;

constexpr std::size_t kDimension = 32, kDomains = 2, kTopics = 12, kAsked = 10;

// The queries of each topic have one relevant document, which their vectors say nothing about: it lies
// anywhere in its domain.
class StoreMemory : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, Store::Open(path()));
    ASSERT_OK(store_->AddSpace({.name = "dense", .dimension = kDimension}));
    for (std::size_t domain = 0; domain < kDomains; ++domain) {
      std::vector<std::string> ids;
      std::vector<float> rows;
      for (std::size_t topic = 0; topic < kTopics; ++topic) {
        ids.push_back("document" + std::to_string(topic));
        std::vector<float> row = documents_.Draw(domain * kTopics + topic);
        row[domain] += 1;
        rows.insert(rows.end(), row.begin(), row.end());
      }
      UpsertBatch batch;
      batch.ids = ids;
      batch.vectors = {{"", {rows.data(), kTopics, kDimension}}};
      batch.partition = Name(domain);
      ASSERT_OK(store_->Upsert(batch));
      ASSERT_OK(store_->AddExpert({.name = Name(domain), .space = "dense", .partition = Name(domain)}));
    }
    for (std::size_t i = 0; i < kDomains * kTopics * kAsked; ++i) {
      const std::size_t domain = i % kDomains, topic = i / kDomains % kTopics;
      const std::vector<float> row = Query(domain, topic);
      queries_.insert(queries_.end(), row.begin(), row.end());
      judged_.judgements.push_back({{"document" + std::to_string(topic), Name(domain), 1.0}});
    }
    judged_.vectors = {{"", {queries_.data(), judged_.judgements.size(), kDimension}}};
  }

  static std::string Name(std::size_t domain) { return "domain" + std::to_string(domain); }
  std::string path() const { return dir_.File("store"); }

  std::vector<float> Query(std::size_t domain, std::size_t topic) {
    std::vector<float> row = topics_.Draw(domain * kTopics + topic);
    row[domain] += 1;
    return row;
  }

  absl::StatusOr<DispatchReport> Train() {
    TrainDispatchOptions options;
    options.train = {judged_};
    options.routers = {"linear"};
    return store_->TrainDispatch(options);
  }

  absl::StatusOr<SearchResult> Ask(const std::vector<float>& vector, bool memory = true) const {
    SearchOptions options;
    options.k = 3;
    options.router = "linear";
    options.memory = memory;
    return store_->Search({"", {{"", {vector.data(), 1, kDimension}}}}, options);
  }

  // Of queries not seen in training, the share whose document is found first.
  double FoundFirst(bool memory) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < kDomains * kTopics; ++i) {
      const std::size_t domain = i % kDomains, topic = i / kDomains;
      const absl::StatusOr<SearchResult> result = Ask(Query(domain, topic), memory);
      EXPECT_OK(result.status());
      EXPECT_EQ(result->route.remembered > 0, memory);
      found += result->hits[0].id == "document" + std::to_string(topic);
    }
    return static_cast<double>(found) / (kDomains * kTopics);
  }

  std::vector<std::string> PilotFiles() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path() + "/segments")) {
      if (entry.path().extension() == ".pilots") files.push_back(entry.path().string());
    }
    return files;
  }

  TempDir dir_{TempDir::kMemory};
  ClusteredQueries topics_{kDimension, kDomains* kTopics, 0.5, 1};
  ClusteredQueries documents_{kDimension, kDomains* kTopics, 0.5, 2};
  std::vector<float> queries_;
  QuerySet judged_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreMemory, FindsWhatQueriesLikeItWereJudgedFor) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train());
  ASSERT_TRUE(report.memory.has_value());
  EXPECT_EQ(report.memory->queries, judged_.judgements.size());
  EXPECT_EQ(report.memory->experts, kDomains);
  EXPECT_GT(report.memory->weight, 0);
  ASSERT_TRUE(store_->Inspect()->dispatch.memory.has_value());
  EXPECT_EQ(store_->Inspect()->dispatch.memory->queries, judged_.judgements.size());
  const double with = FoundFirst(true), without = FoundFirst(false);
  EXPECT_GE(with, 0.7);
  EXPECT_LE(without, 0.4);
}

TEST_F(StoreMemory, SurvivesReopeningAndGoesWithTheNextTraining) {
  ASSERT_OK(Train());
  ASSERT_EQ(PilotFiles().size(), 1u);
  const std::vector<float> query = Query(0, 3);
  ASSERT_OK_AND_ASSIGN(const SearchResult before, Ask(query));
  ASSERT_OK(store_->Verify());
  ASSERT_OK(store_->Close());
  ASSERT_OK_AND_ASSIGN(store_, Store::Open(path()));
  ASSERT_OK_AND_ASSIGN(const SearchResult after, Ask(query));
  ASSERT_EQ(after.hits.size(), before.hits.size());
  for (std::size_t i = 0; i < after.hits.size(); ++i) {
    EXPECT_EQ(after.hits[i].id, before.hits[i].id);
    EXPECT_EQ(after.hits[i].score, before.hits[i].score);
  }
  TrainDispatchOptions label_free;
  label_free.label_free = true;
  label_free.routers = {"moments"};
  ASSERT_OK(store_->TrainDispatch(label_free));
  EXPECT_TRUE(PilotFiles().empty());
  EXPECT_FALSE(store_->Inspect()->dispatch.memory.has_value());
}

TEST_F(StoreMemory, ARouteTakenAgainRemembersAgain) {
  ASSERT_OK(Train());
  for (std::size_t topic = 0; topic < kTopics; ++topic) {
    const std::vector<float> query = Query(1, topic);
    ASSERT_OK_AND_ASSIGN(const SearchResult first, Ask(query));
    ASSERT_OK_AND_ASSIGN(const Route route, Route::FromJson(first.route.ToJson()));
    SearchOptions options;
    options.k = 3;
    options.route = route;
    ASSERT_OK_AND_ASSIGN(const SearchResult again,
                         store_->Search({"", {{"", {query.data(), 1, kDimension}}}}, options));
    ASSERT_EQ(again.hits.size(), first.hits.size());
    for (std::size_t i = 0; i < again.hits.size(); ++i) {
      EXPECT_EQ(again.hits[i].id, first.hits[i].id);
      EXPECT_FLOAT_EQ(again.hits[i].score, first.hits[i].score);
    }
  }
}

TEST_F(StoreMemory, ADeletedDocumentIsNotFoundAndAnotherOneWithItsIdNotTakenForIt) {
  ASSERT_OK(Train());
  const std::vector<float> query = Query(0, 5);
  ASSERT_OK_AND_ASSIGN(const SearchResult before, Ask(query));
  const std::string gone = before.hits[0].id;
  ASSERT_OK(store_->Delete(std::vector<std::string>{gone}, "domain0", ""));
  ASSERT_OK_AND_ASSIGN(const SearchResult without, Ask(query));
  for (const Hit& hit : without.hits) EXPECT_NE(hit.id, gone);
  const std::vector<float> far(kDimension, -1.0f);
  UpsertBatch batch;
  const std::vector<std::string> ids = {gone};
  batch.ids = ids;
  batch.vectors = {{"", {far.data(), 1, kDimension}}};
  batch.partition = "domain0";
  ASSERT_OK(store_->Upsert(batch));
  ASSERT_OK_AND_ASSIGN(const SearchResult anew, Ask(query));
  for (const Hit& hit : anew.hits) EXPECT_NE(hit.id, gone);
}

TEST_F(StoreMemory, OtherExpertsMayComeAndGo) {
  ASSERT_OK(Train());
  ASSERT_OK(store_->AddExpert({.name = "everything", .space = "dense"}));
  EXPECT_GE(FoundFirst(true), 0.7);
  ASSERT_OK(store_->RemoveExpert("domain0"));
  const std::vector<float> query = Query(1, 2);
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask(query));
  EXPECT_GT(result.route.remembered, 0u);
}

TEST_F(StoreMemory, AMissingOrTruncatedFileIsDamage) {
  ASSERT_OK(Train());
  ASSERT_OK(store_->Close());
  ASSERT_EQ(PilotFiles().size(), 1u);
  const std::string file = PilotFiles().front();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(path()).status()));
  std::filesystem::remove(file);
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(path()).status()));
}

TEST_F(StoreMemory, IsLeftOutWhereSimilarQueriesWantOtherDocuments) {
  for (std::size_t i = 0; i < judged_.judgements.size(); ++i) {
    judged_.judgements[i][0].id =
        "document" + std::to_string((i * 7 + i / (kDomains * kTopics) * 5) % kTopics);
  }
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train());
  EXPECT_FALSE(report.memory.has_value());
  EXPECT_TRUE(PilotFiles().empty());
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask(Query(0, 0)));
  EXPECT_EQ(result.route.remembered, 0u);
}

}  // namespace
}  // namespace trivium
