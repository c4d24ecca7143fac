// SPDX-License-Identifier: Apache-2.0
// Dispatch without a judged query, from what experts hold and how they are described.
#include <algorithm>
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

using testing::Contains;
using testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::TempDir;

constexpr std::size_t kDimension = 24, kDomains = 3, kDocuments = 40;

// "domainN" is a draw from domain N.
class DomainEncoder final : public TextEncoder {
 public:
  std::size_t dimension() const override { return kDimension; }
  std::string fingerprint() const override { return "domains"; }
  absl::Status Encode(absl::Span<const std::string> texts, TextKind kind, float* out) override {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::vector<float> row = domains_.Draw(static_cast<std::size_t>(texts[i].back() - '0'));
      std::copy(row.begin(), row.end(), out + i * kDimension);
    }
    return absl::OkStatus();
  }

 private:
  ClusteredQueries domains_{kDimension, kDomains, 0.7, 2};
};

class LabelFreeStore : public testing::Test {
 protected:
  void SetUp() override {
    Open();
    ASSERT_OK(store_->AddSpace({.name = "dense", .dimension = kDimension, .encoder = "domains"}));
    for (std::size_t domain = 0; domain < kDomains; ++domain) {
      const std::string name = "domain" + std::to_string(domain);
      std::vector<std::string> ids;
      for (std::size_t i = 0; i < kDocuments; ++i) ids.push_back(name + "-" + std::to_string(i));
      const std::vector<std::string> texts(kDocuments, name);
      UpsertBatch batch;
      batch.ids = ids;
      batch.texts = texts;
      batch.partition = name;
      ASSERT_OK(store_->Upsert(batch));
      ASSERT_OK(store_->AddExpert(
          {.name = name, .space = "dense", .partition = name, .description = name + "\n" + name}));
    }
  }

  void Open() {
    OpenOptions options;
    options.encoders = {{"domains", std::make_shared<DomainEncoder>()}};
    ASSERT_OK_AND_ASSIGN(store_, Store::Open(dir_.File("store"), options));
  }

  std::vector<std::string> Chosen(const std::string& text, const std::string& router) const {
    SearchOptions options;
    options.router = router;
    Query query;
    query.text = text;
    const absl::StatusOr<SearchResult> result = store_->Search(query, options);
    EXPECT_OK(result.status());
    std::vector<std::string> chosen;
    if (!result.ok()) return chosen;
    for (const auto& expert : result->route.experts) {
      if (expert.chosen) chosen.push_back(expert.expert);
    }
    return chosen;
  }

  TempDir dir_;
  std::unique_ptr<Store> store_;
};

TEST_F(LabelFreeStore, SendsQueriesToTheirDomainByNameAndAsksAllByDefault) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, store_->TrainDispatch({.label_free = true}));
  EXPECT_FALSE(report.enabled);
  EXPECT_THAT(report.reason, HasSubstr("without judged queries"));
  EXPECT_EQ(report.router, "moments");
  EXPECT_TRUE(report.rows.empty());
  for (int round = 0; round < 2; ++round) {
    for (std::size_t domain = 0; domain < kDomains; ++domain) {
      const std::string name = "domain" + std::to_string(domain);
      EXPECT_THAT(Chosen(name, "moments"), Contains(name));
      EXPECT_THAT(Chosen(name, "description"), Contains(name));
      EXPECT_LT(Chosen(name, "moments").size(), kDomains);
      EXPECT_EQ(Chosen(name, "").size(), kDomains);
    }
    ASSERT_OK(store_->Close());
    Open();
  }
}

TEST_F(LabelFreeStore, RefusesQueriesAndRoutersThatNeedThem) {
  const auto refused = [&](const TrainDispatchOptions& options, const char* why) {
    EXPECT_THAT(store_->TrainDispatch(options).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  TrainDispatchOptions options{.label_free = true};
  options.train.resize(1);
  refused(options, "1 sets of judged queries");
  refused({.routers = {"linear"}, .label_free = true}, "router linear");
  refused({.routers = {"oracle"}, .label_free = true}, "router: oracle");
}

}  // namespace
}  // namespace trivium
