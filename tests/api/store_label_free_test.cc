// SPDX-License-Identifier: Apache-2.0
// Dispatch without a judged query, from what experts hold, how they are described and how much they agree.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
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
  refused(options, "queries '': 0, expected at least one");
  options.train[0].texts = {"domain1"};
  options.train[0].judgements = {{{.id = "domain1-3"}}};
  refused(options, "1 sets of judged queries");
  refused({.routers = {"linear"}, .label_free = true}, "router linear");
  refused({.routers = {"oracle"}, .label_free = true}, "router: oracle");
  refused({.routers = {"agreement"}, .label_free = true}, "router agreement: 0 queries");
}

// Disjoint partitions share no documents: the other routers learn, and this one says why it does not.
TEST_F(LabelFreeStore, FindsNothingToCompareWhereExpertsShareNoDocuments) {
  TrainDispatchOptions options{.label_free = true};
  options.train.resize(1);
  options.train[0].texts = {"domain1", "domain2"};
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, store_->TrainDispatch(options));
  EXPECT_EQ(report.router, "moments");
  EXPECT_THAT(report.reason, HasSubstr("router agreement: 0 queries answered"));
  options.routers = {"agreement"};
  EXPECT_THAT(store_->TrainDispatch(options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3 or more")));
}

// Four spaces over the same documents. A query means one of them: "even" reads it well where the document is
// even and next to not at all where it is odd, "odd" the other way round, the other two always so-so.
class SharedStore : public testing::Test {
 protected:
  static constexpr std::size_t kShared = 60, kSpaceCount = 4;
  static constexpr const char* kSpaces[] = {"fair", "even", "odd", "plain"};  // the first one routes

  void SetUp() override {
    Open();
    for (std::size_t d = 0; d < kShared; ++d) {
      truth_.push_back(testing_support::RandomUnitVector(kDimension, &random_));
      truth_.back()[0] += d % 2 == 0 ? 1.5f : -1.5f;  // so that neighbours are of a kind
      ids_.push_back("d" + std::to_string(d));
    }
    std::vector<float> rows[kSpaceCount];
    std::vector<SpaceVectors> vectors;
    for (std::size_t s = 0; s < kSpaceCount; ++s) {
      ASSERT_OK(store_->AddSpace({.name = kSpaces[s], .dimension = kDimension}));
      ASSERT_OK(store_->AddExpert({.name = kSpaces[s], .space = kSpaces[s]}));
      for (const std::vector<float>& row : truth_) rows[s].insert(rows[s].end(), row.begin(), row.end());
      vectors.push_back({kSpaces[s], {rows[s].data(), kShared, kDimension}});
    }
    UpsertBatch batch;
    batch.ids = ids_;
    batch.vectors = vectors;
    ASSERT_OK(store_->Upsert(batch));
  }

  // Queries for the documents 0 to `count` - 1, as each space reads them.
  struct Asked {
    std::vector<float> rows[kSpaceCount];
    std::vector<SpaceVectors> Views(std::size_t first, std::size_t count) const {
      std::vector<SpaceVectors> views;
      for (std::size_t s = 0; s < kSpaceCount; ++s) {
        views.push_back({kSpaces[s], {rows[s].data() + first * kDimension, count, kDimension}});
      }
      return views;
    }
  };
  Asked Ask() {
    Asked asked;
    for (std::size_t d = 0; d < kShared; ++d) {
      const float noises[] = {2, d % 2 == 0 ? 0.2f : 8, d % 2 == 1 ? 0.2f : 8, 2};
      for (std::size_t s = 0; s < kSpaceCount; ++s) {
        const std::vector<float> noise = testing_support::RandomUnitVector(kDimension, &random_);
        for (std::size_t c = 0; c < kDimension; ++c) {
          asked.rows[s].push_back(truth_[d][c] + noises[s] * noise[c]);
        }
      }
    }
    return asked;
  }
  void Open() { ASSERT_OK_AND_ASSIGN(store_, Store::Open(dir_.File("store"), OpenOptions())); }

  TempDir dir_;
  base::Random random_{12};
  std::unique_ptr<Store> store_;
  std::vector<std::vector<float>> truth_;
  std::vector<std::string> ids_;
};

TEST_F(SharedStore, LearnsFromAgreementWhoReadsWhichQueriesBest) {
  const Asked asked = Ask(), later = Ask();
  TrainDispatchOptions options{.label_free = true};
  options.train.resize(1);
  options.train[0].vectors = asked.Views(0, kShared);
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, store_->TrainDispatch(options));
  EXPECT_FALSE(report.enabled);
  EXPECT_EQ(report.queries, 0u);  // none was judged
  SearchOptions search;
  search.router = "agreement";
  for (int round = 0; round < 2; ++round) {
    std::size_t right = 0, left_out = 0;
    for (std::size_t d = 0; d < kShared; ++d) {
      ASSERT_OK_AND_ASSIGN(const SearchResult result, store_->Search({.vectors = later.Views(d, 1)}, search));
      const auto& experts = result.route.experts;  // best first
      const char* names[] = {"even", "odd"};
      right += experts.front().expert == names[d % 2];
      left_out += experts.back().expert == names[1 - d % 2] && !experts.back().chosen;
    }
    EXPECT_GE(right, kShared * 8 / 10);
    EXPECT_EQ(left_out, kShared);  // who is worst is plainer than who is best
    ASSERT_OK(store_->Close());
    Open();
  }
}

// The same queries with judgements, which are not what it learns from.
TEST_F(SharedStore, JudgedQueriesCompareItWithTheOthers) {
  const Asked asked = Ask();
  TrainDispatchOptions options;
  options.routers = {"agreement", "static_best"};
  options.train.resize(1);
  options.train[0].vectors = asked.Views(0, kShared);
  for (const std::string& id : ids_) options.train[0].judgements.push_back({{.id = id}});
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, store_->TrainDispatch(options));
  double agreement = 0, static_best = 0;
  for (const ComparisonRow& row : report.rows) {
    if (row.name == "agreement") agreement = row.ndcg_at_10;
    if (row.name == "static_best") static_best = row.ndcg_at_10;
  }
  EXPECT_GT(agreement, static_best + 0.05);
}

TEST_F(SharedStore, ExpertsThatAnswerAlikeTeachNothing) {
  for (const char* space : {"even", "odd", "plain"}) ASSERT_OK(store_->RemoveExpert(space));
  for (const char* name : {"a", "b"}) ASSERT_OK(store_->AddExpert({.name = name, .space = "fair"}));
  const Asked asked = Ask();
  TrainDispatchOptions options{.routers = {"agreement"}, .label_free = true};
  options.train.resize(1);
  options.train[0].vectors = asked.Views(0, kShared);
  EXPECT_THAT(store_->TrainDispatch(options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("over 60 queries, expected answers")));
  ASSERT_OK(store_->RemoveExpert("b"));  // and two are too few
  EXPECT_THAT(store_->TrainDispatch(options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3 or more")));
}

}  // namespace
}  // namespace trivium
