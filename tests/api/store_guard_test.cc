// SPDX-License-Identifier: Apache-2.0
// The guard from training to answers, and what damage to it does.
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

using testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::TempDir;

constexpr std::size_t kDimension = 24, kDomains = 3, kDocuments = 40;

class StoreGuard : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, Store::Open(path()));
    ASSERT_OK(store_->AddSpace({.name = "dense", .dimension = kDimension}));
    for (std::size_t domain = 0; domain < kDomains; ++domain) {
      const std::string name = "domain" + std::to_string(domain);
      std::vector<std::string> ids;
      for (std::size_t i = 0; i < kDocuments; ++i) {
        ids.push_back(name + "-" + std::to_string(i));
        const std::vector<float> row = served_.Draw(domain);
        queries_.insert(queries_.end(), row.begin(), row.end());
        judged_.judgements.push_back({{ids.back(), name, 1.0}});
      }
      UpsertBatch batch;
      batch.ids = ids;
      batch.vectors = {{"", {&queries_[domain * kDocuments * kDimension], kDocuments, kDimension}}};
      batch.partition = name;
      ASSERT_OK(store_->Upsert(batch));
      ASSERT_OK(store_->AddExpert({.name = name, .space = "dense", .partition = name}));
    }
    judged_.vectors = {{"", {queries_.data(), kDomains * kDocuments, kDimension}}};
    for (std::size_t i = 0; i < 60; ++i) {
      const std::vector<float> row = others_.Draw(i % 20);
      background_.insert(background_.end(), row.begin(), row.end());
    }
  }

  std::string path() const { return dir_.File("store"); }

  absl::StatusOr<DispatchReport> Train(bool guarded) {
    TrainDispatchOptions options;
    options.train = {judged_};
    options.routers = {"static_best", "knn_utility"};
    if (guarded) options.background.vectors = {{"", {background_.data(), 60, kDimension}}};
    return store_->TrainDispatch(options);
  }

  absl::StatusOr<SearchResult> Ask(const std::vector<float>& vector,
                                   OnReject on_reject = OnReject::kAll) const {
    SearchOptions options;
    options.on_reject = on_reject;
    return store_->Search({"", {{"", {vector.data(), 1, kDimension}}}}, options);
  }

  std::vector<std::string> PilotFiles() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path() + "/segments")) {
      if (entry.path().extension() == ".pilots") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  TempDir dir_{TempDir::kMemory};
  ClusteredQueries served_{kDimension, kDomains, 0.8, 1}, others_{kDimension, 20, 0.8, 2};
  std::vector<float> queries_, background_;
  QuerySet judged_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreGuard, RejectsWhatNoExpertServesAndAnswersItAsTold) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(true));
  EXPECT_TRUE(report.guard.enabled) << report.guard.reason;
  EXPECT_EQ(report.guard.queries, kDomains * kDocuments);
  EXPECT_EQ(report.guard.background, 60u);
  EXPECT_GE(report.guard.acceptance, 0.95);
  std::size_t rejected = 0, accepted = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    ASSERT_OK_AND_ASSIGN(const SearchResult own, Ask(served_.Draw(i % kDomains), OnReject::kNothing));
    accepted += own.route.rejected ? 0 : 1;
    EXPECT_EQ(own.hits.empty(), own.route.rejected);
    const std::vector<float> foreign = others_.Draw(i % 20);
    ASSERT_OK_AND_ASSIGN(const SearchResult all, Ask(foreign));
    ASSERT_TRUE(all.route.in_domain.has_value());
    EXPECT_EQ(all.route.rejected, *all.route.in_domain < report.guard.threshold);
    EXPECT_EQ(all.hits.size(), 10u);
    if (!all.route.rejected) continue;
    ++rejected;
    EXPECT_TRUE(all.route.experts[kDomains - 1].chosen);
    ASSERT_OK_AND_ASSIGN(const SearchResult plain, Ask(foreign, OnReject::kPlain));
    EXPECT_EQ(plain.hits.size(), 10u);
    ASSERT_OK_AND_ASSIGN(const SearchResult nothing, Ask(foreign, OnReject::kNothing));
    EXPECT_TRUE(nothing.hits.empty());
    EXPECT_EQ(nothing.route.fusion, "none");
    EXPECT_EQ(nothing.trace.searches, 0u);
  }
  EXPECT_GE(accepted, 34u);
  EXPECT_GE(rejected, 30u);
}

TEST_F(StoreGuard, StoresWithoutBackgroundHaveNone) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(false));
  EXPECT_EQ(report.guard.queries, 0u);
  EXPECT_EQ(store_->Inspect()->dispatch.guard.queries, 0u);
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask(others_.Draw(0), OnReject::kNothing));
  EXPECT_FALSE(result.route.in_domain.has_value());
  EXPECT_EQ(result.hits.size(), 10u);
}

TEST_F(StoreGuard, ComesAndGoesWithTrainingAndSurvivesReopening) {
  ASSERT_OK(Train(false));
  const std::size_t without = PilotFiles().size();
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(true));
  EXPECT_EQ(PilotFiles().size(), without + 2);
  const std::vector<float> foreign = others_.Draw(3);
  ASSERT_OK_AND_ASSIGN(const SearchResult before, Ask(foreign));
  ASSERT_OK(store_->Verify());
  ASSERT_OK(store_->Close());
  ASSERT_OK_AND_ASSIGN(store_, Store::Open(path()));
  EXPECT_EQ(store_->Inspect()->dispatch.guard.reason, report.guard.reason);
  EXPECT_EQ(store_->Inspect()->dispatch.guard.threshold, report.guard.threshold);
  ASSERT_OK_AND_ASSIGN(const SearchResult after, Ask(foreign));
  EXPECT_EQ(after.route.in_domain, before.route.in_domain);
  ASSERT_OK(Train(false));
  EXPECT_EQ(PilotFiles().size(), without);
  ASSERT_OK_AND_ASSIGN(const SearchResult unguarded, Ask(foreign));
  EXPECT_FALSE(unguarded.route.in_domain.has_value());
}

TEST_F(StoreGuard, AMissingOrTruncatedFileIsDamage) {
  ASSERT_OK(Train(true));
  ASSERT_OK(store_->Close());
  const std::string file = PilotFiles().back();
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(path()).status()));
  std::filesystem::remove(file);
  EXPECT_TRUE(absl::IsDataLoss(Store::Open(path()).status()));
}

TEST_F(StoreGuard, BadBackgroundChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(true));
  background_.assign(background_.size(), 0.0f);
  const auto failed = Train(true);
  EXPECT_TRUE(absl::IsInvalidArgument(failed.status())) << failed.status();
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("row 0"));
  EXPECT_EQ(store_->Inspect()->dispatch.guard.threshold, report.guard.threshold);
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask(others_.Draw(0)));
  EXPECT_TRUE(result.route.in_domain.has_value());
}

TEST(OnReject, NamesAreReadBack) {
  for (const OnReject answer : {OnReject::kAll, OnReject::kPlain, OnReject::kNothing}) {
    EXPECT_EQ(*ParseOnReject(OnRejectName(answer)), answer);
  }
  EXPECT_THAT(std::string(ParseOnReject("never").status().message()),
              HasSubstr("'never', expected all, plain or nothing"));
}

}  // namespace
}  // namespace trivium
