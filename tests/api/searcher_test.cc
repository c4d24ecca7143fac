// SPDX-License-Identifier: Apache-2.0
// Queries answered together against the same queries answered one by one.
#include "api/searcher.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/route_description.h"
#include "gtest/gtest.h"
#include "index/vector_segment.h"
#include "routing/expert/pilot_set.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium {
namespace {

constexpr std::uint32_t kMain = 1, kOther = 2;  // spaces
constexpr std::uint32_t kPartitions[] = {3, 4, 5};
constexpr std::uint64_t kDocuments = 1500;  // of a partition, numbered from its id times this on
constexpr std::size_t kDimensions[] = {0, 64, 72};
constexpr std::size_t kQueries = 90;

// Clusters of `space`, one for each partition, and queries among them in turn.
base::AlignedMatrix Vectors(std::uint32_t space, std::size_t rows, std::uint64_t seed) {
  const auto metric = space == kMain ? base::Metric::kCosine : base::Metric::kSquaredL2;
  return testing_support::ClusteredVectors(rows, kDimensions[space], metric, seed, std::size(kPartitions));
}

// Encodes a text "row N" as query row N; fails for others.
class RowEncoder final : public TextEncoder {
 public:
  RowEncoder() : rows_(Vectors(kOther, kQueries, 7)) {}
  std::size_t dimension() const override { return rows_.columns(); }
  std::string fingerprint() const override { return ""; }
  absl::Status Encode(absl::Span<const std::string> texts, TextKind, float* out) override {
    for (const std::string& text : texts) {
      if (text.rfind("row ", 0) != 0) return absl::InvalidArgumentError("text: " + text);
      const float* row = rows_.row(std::stoul(text.substr(4)));
      out = std::copy(row, row + rows_.columns(), out);
    }
    return absl::OkStatus();
  }

 private:
  base::AlignedMatrix rows_;
};

// Two spaces over three partitions. Most rows are in a segment, large enough to be walked; some came later,
// some are gone.
class SearcherTest : public ::testing::Test {
 protected:
  SearcherTest()
      : queries_(Vectors(kMain, kQueries, 6)), encoders_({{"rows", std::make_shared<RowEncoder>()}}) {
    state_->schema.spaces = {{.id = kMain, .name = "main", .dimension = 64},
                             {.id = kOther, .name = "other", .dimension = 72, .metric = Metric::kSquaredL2}};
    state_->schema.spaces[1].encoder = "rows";
    for (const std::uint32_t id : kPartitions)
      state_->schema.partitions.push_back({id, "p" + std::to_string(id)});
    state_->schema.experts = {
        {.id = 6, .name = "first", .space = kMain, .partition = 3},
        {.id = 7, .name = "second", .space = kMain, .partition = 4},
        {.id = 8, .name = "third", .space = kMain, .partition = 5},
        {.id = 9, .name = "all", .space = kOther},
        {.id = 10, .name = "mirror", .space = kMain, .partition = 3, .adapter = AdapterRecord()},
        {.id = 11, .name = "mirrors", .space = kMain, .adapter = AdapterRecord()}};
    std::vector<float> mirror(64 * 64);
    for (std::size_t i = 0; i < 64; ++i) mirror[i * 64 + 63 - i] = 1;
    state_->adapters[10] = std::make_shared<const std::vector<float>>(mirror);
    state_->adapters[11] = std::make_shared<const std::vector<float>>(mirror);
    for (const std::uint32_t partition : kPartitions) {
      AddSet(kMain, partition, index::Profile::kSpeed);
      AddSet(kOther, partition, partition == 4 ? index::Profile::kSmall : index::Profile::kSpeed);
    }
    Train();
    state_->ResolveExperts();
  }

  void AddSet(std::uint32_t space, std::uint32_t partition, index::Profile profile) {
    const base::AlignedMatrix all = Vectors(space, std::size(kPartitions) * kDocuments, 5);
    const std::size_t first = (partition - kPartitions[0]) * kDocuments;
    const auto metric = BaseMetric(state_->schema.SpaceById(space)->metric);
    VectorSet set(space, partition, all.columns(), metric);
    std::vector<std::uint64_t> documents(kDocuments);
    for (std::size_t i = 0; i < kDocuments; ++i) documents[i] = first + i;
    constexpr std::size_t kSealed = 1300;
    const std::string file = std::to_string(space) + "-" + std::to_string(partition);
    index::GraphBuildOptions options;
    options.profile = profile;
    EXPECT_OK(index::VectorSegment::Build({all.row(first), kSealed, all.columns(), all.stride()},
                                          absl::MakeConstSpan(documents).first(kSealed), metric, options,
                                          dir_.File(file)));
    auto segment = index::VectorSegment::Open(dir_.File(file), true);
    ASSERT_OK(segment.status());
    set.AddSegment(*segment, file, [](std::uint64_t document) { return document % 9 != 0; });
    base::AlignedMatrix rows(all.columns());
    for (std::size_t i = kSealed; i < kDocuments; ++i) rows.Append(all.row(first + i));
    documents.erase(documents.begin(), documents.begin() + kSealed);
    set.AddUnsealed(std::move(rows), documents);
    set.RemoveDocument(documents[3]);
    state_->sets.push_back(std::make_shared<const VectorSet>(std::move(set)));
  }

  // A router that sends each cluster to its partition's expert; the others were unknown to it.
  void Train(std::optional<routing::QueryMixture> mixture = std::nullopt) {
    routing::PilotSet pilots(64, 3);
    const base::AlignedMatrix vectors = Vectors(kMain, 90, 8);
    for (std::size_t i = 0; i < vectors.rows(); ++i) {
      std::vector<float> utilities(3, 0.1f);
      utilities[i * 3 / vectors.rows()] = 0.9f;
      ASSERT_OK(pilots.Add({.vector = {vectors.row(i), 64}, .utilities = utilities}));
    }
    std::vector<Dispatcher::Entry> entries(1);
    entries[0].settings.router = "knn_utility";
    entries[0].settings.policy = {.top_p = 0.8f, .max_experts = 2, .ask_unknown = false};
    entries[0].settings.answer.prior_weight = 0.1f;
    entries[0].settings.answer.mixture = mixture;
    ASSERT_OK_AND_ASSIGN(entries[0].router, routing::MakeRouter("knn_utility"));
    ASSERT_OK(entries[0].router->Train(pilots, {}));
    state_->dispatcher = std::make_shared<const Dispatcher>(kMain, std::move(entries));
    state_->schema.dispatch =
        DispatchRecord{.enabled = true, .router = "knn_utility", .space = kMain, .expert_ids = {6, 7, 8}};
  }

  // Queries with a vector of the main space and a text for the other one.
  std::vector<QueryVectors> Ask(const std::vector<std::string>& texts) {
    std::vector<QueryVectors> asked;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      asked.emplace_back(state_.get(), &encoders_, &texts[i]);
      asked.back().Set(kMain, queries_.row(i));
    }
    return asked;
  }

  std::vector<std::string> Texts() const {
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < kQueries; ++i) texts.push_back("row " + std::to_string(i));
    return texts;
  }

  // Documents that `passes`, as a filter.
  template <class Passes>
  static std::shared_ptr<const base::Bitmap> Filter(Passes passes) {
    base::Bitmap documents(std::size(kPartitions) * kDocuments);
    for (std::size_t i = 0; i < documents.size(); ++i) {
      if (passes(i)) documents.Set(i);
    }
    return std::make_shared<const base::Bitmap>(std::move(documents));
  }

  // Both ways give the same; returns the answers.
  std::vector<Answer> ExpectSame(const SearchOptions& options,
                                 std::shared_ptr<const base::Bitmap> filter = nullptr) {
    std::vector<Answer> together(kQueries);
    const absl::StatusOr<Searcher> searcher = Searcher::Create(state_, options, std::move(filter));
    EXPECT_OK(searcher.status());
    if (!searcher.ok()) return together;
    const std::vector<std::string> texts = Texts();
    std::vector<QueryVectors> asked = Ask(texts), alone = Ask(texts);
    SearcherScratch scratch;
    EXPECT_OK(searcher->RunMany(absl::MakeSpan(asked), &scratch, absl::MakeSpan(together)));
    for (std::size_t i = 0; i < kQueries; ++i) {
      Answer answer;
      EXPECT_OK(searcher->Run(&alone[i], &scratch, &answer));
      EXPECT_EQ(asked[i].encoder_calls(), alone[i].encoder_calls());
      ExpectSameAnswer(together[i], answer);
    }
    return together;
  }

  static void ExpectSameAnswer(const Answer& one, const Answer& other) {
    EXPECT_EQ(one.plan.mode, other.plan.mode);
    EXPECT_EQ(one.plan.router, other.plan.router);
    EXPECT_EQ(one.plan.dispatch.chosen, other.plan.dispatch.chosen);
    EXPECT_EQ(one.fusion, other.fusion);
    ASSERT_EQ(one.plan.dispatch.experts.size(), other.plan.dispatch.experts.size());
    for (std::size_t i = 0; i < one.plan.dispatch.experts.size(); ++i) {
      EXPECT_EQ(one.plan.dispatch.experts[i].probability, other.plan.dispatch.experts[i].probability);
      EXPECT_EQ(one.plan.dispatch.experts[i].reason, other.plan.dispatch.experts[i].reason);
    }
    ASSERT_EQ(one.hits.size(), other.hits.size());
    EXPECT_FALSE(one.hits.empty());
    for (std::size_t i = 0; i < one.hits.size(); ++i) {
      EXPECT_EQ(one.hits[i].key, other.hits[i].key);
      EXPECT_EQ(one.hits[i].score, other.hits[i].score);
      EXPECT_EQ(one.hits[i].expert_score, other.hits[i].expert_score);
      EXPECT_EQ(one.hits[i].expert, other.hits[i].expert);
    }
    ASSERT_EQ(one.lists.size(), other.lists.size());
    for (std::size_t i = 0; i < one.lists.size(); ++i) {
      EXPECT_EQ(one.lists[i].expert, other.lists[i].expert);
      EXPECT_EQ(one.lists[i].counters, other.lists[i].counters);
      EXPECT_EQ(one.lists[i].by_set, other.lists[i].by_set);
      EXPECT_EQ(one.lists[i].vector_sets, other.lists[i].vector_sets);
      EXPECT_EQ(one.lists[i].searches, other.lists[i].searches);
    }
  }

  static std::uint64_t Hops(const std::vector<Answer>& answers) {
    std::uint64_t hops = 0;
    for (const Answer& answer : answers) {
      for (const ExpertList& list : answer.lists) hops += list.counters.hops;
    }
    return hops;
  }

  testing_support::TempDir dir_;
  std::shared_ptr<StoreState> state_ = std::make_shared<StoreState>();
  base::AlignedMatrix queries_;
  EncoderSet encoders_;
};

TEST_F(SearcherTest, TogetherQueriesOfDifferentRoutesAreAnsweredAsAlone) {
  const std::vector<Answer> answers = ExpectSame({});
  for (const Answer& answer : answers) EXPECT_EQ(answer.plan.router, "knn_utility");
  EXPECT_NE(answers.front().plan.dispatch.chosen, answers.back().plan.dispatch.chosen);
  EXPECT_GT(Hops(answers), kQueries);
}

TEST_F(SearcherTest, TogetherIsAsAloneWithoutDispatch) {
  state_->schema.dispatch->enabled = false;
  const std::vector<Answer> answers = ExpectSame({});
  EXPECT_EQ(answers.front().fusion, "rrf");
  EXPECT_GT(Hops(answers), 6 * kQueries);
  state_->dispatcher = nullptr;
  ExpectSame({.k = 1});
}

TEST_F(SearcherTest, TogetherIsAsAloneForNamedExpertsThatShareSetsAndAdapters) {
  const std::vector<std::vector<std::string>> choices = {
      {"first", "mirror", "mirrors"}, {"mirrors", "second", "mirror"}, {"all", "mirrors"}, {"third"}};
  for (const auto& names : choices) {
    ExpectSame({.experts = {ExpertSelection::Mode::kNamed, names}});
  }
}

TEST_F(SearcherTest, TogetherIsAsAloneForEveryIndexBeamAndDepth) {
  SearchOptions options;
  options.experts.mode = ExpertSelection::Mode::kAll;
  for (const IndexChoice index : {IndexChoice::kStore, IndexChoice::kGraph, IndexChoice::kExact}) {
    options.index = index;
    for (const std::size_t beam : {0, 16}) {
      for (const std::size_t k : {10, 300}) {
        options.beam_width = beam;
        options.k = k;
        const std::vector<Answer> answers = ExpectSame(options);
        // Few rows beside so wide a beam are scanned.
        const bool scanned = index == IndexChoice::kExact || (index == IndexChoice::kStore && k == 300);
        EXPECT_EQ(Hops(answers) == 0, scanned);
      }
    }
  }
}

TEST_F(SearcherTest, TogetherIsAsAloneWithFilters) {
  const auto half = Filter([](std::size_t document) { return document % 2 == 0; });
  ExpectSame({}, half);
  ExpectSame({.index = IndexChoice::kGraph}, half);
  state_->schema.dispatch->enabled = false;
  ExpectSame({}, half);
}

TEST_F(SearcherTest, TogetherIsAsAloneWithinLimits) {
  SearchOptions allowed, partitions, cost, budget, everywhere;
  allowed.allowed_experts = {"second", "all", "mirrors"};
  partitions.partitions = {"p5", "p3"};
  everywhere.partitions = {"p4"};
  everywhere.experts.mode = ExpertSelection::Mode::kAll;
  cost.cost = 0.4;
  budget.budget = 4000;
  const auto half = Filter([](std::size_t document) { return document % 2 == 0; });
  for (const SearchOptions& options : {allowed, partitions, cost, budget, everywhere}) {
    ExpectSame(options);
    ExpectSame(options, half);
  }
  for (const Answer& answer : ExpectSame(everywhere)) {
    EXPECT_EQ(answer.plan.dispatch.experts[0].reason, routing::ChoiceReason::kNotAllowed);
    for (const routing::FusedHit& hit : answer.hits) EXPECT_EQ(hit.key / kDocuments, 1u);
  }
}

TEST_F(SearcherTest, ARouteTakenAgainGivesTheSameAnswerBitForBit) {
  const auto half = Filter([](std::size_t document) { return document % 2 == 0; });
  SearchOptions all, named, cheap;
  all.experts.mode = ExpertSelection::Mode::kAll;
  named.experts = {ExpertSelection::Mode::kNamed, {"mirrors", "all", "second"}};
  cheap.cost = 0.3;
  for (const bool mixed : {false, true}) {
    Train(mixed ? std::optional<routing::QueryMixture>({0.6f, 0.3f}) : std::nullopt);
    for (SearchOptions options : {SearchOptions(), all, named, cheap}) {
      options.adapters = AdapterUse::kAlways;
      const std::vector<Answer> first = ExpectSame(options, half);
      ASSERT_OK_AND_ASSIGN(const Searcher searcher, Searcher::Create(state_, options, half));
      const std::vector<std::string> texts = Texts();
      for (std::size_t i = 0; i < kQueries; i += 9) {
        const Route route = DescribeRoute(searcher, first[i]);
        EXPECT_EQ(route.reading == "mixed", mixed && route.router == "knn_utility");
        EXPECT_EQ(route.prior_weight > 0, route.router == "knn_utility" && !route.untrained);
        SearchOptions again;
        again.adapters = AdapterUse::kAlways;
        ASSERT_OK_AND_ASSIGN(again.route, Route::FromJson(route.ToJson()));
        ASSERT_OK_AND_ASSIGN(const Searcher replaying, Searcher::Create(state_, again, half));
        std::vector<QueryVectors> asked = Ask(texts);
        SearcherScratch scratch;
        Answer answer;
        ASSERT_OK(replaying.Run(&asked[i], &scratch, &answer));
        EXPECT_EQ(DescribeRoute(replaying, answer).ToJson(), route.ToJson());
        ASSERT_EQ(answer.hits.size(), first[i].hits.size());
        for (std::size_t h = 0; h < answer.hits.size(); ++h) {
          EXPECT_EQ(answer.hits[h].key, first[i].hits[h].key);
          EXPECT_EQ(answer.hits[h].score, first[i].hits[h].score);
          EXPECT_EQ(answer.hits[h].expert, first[i].hits[h].expert);
        }
      }
    }
  }
}

TEST_F(SearcherTest, TogetherAFilterThatTheChosenExpertsHoldTooLittleOfIsTakenToEverybody) {
  // The first partition holds enough, the others 3 documents each.
  const auto filter = Filter([](std::size_t i) { return i < kDocuments || i % kDocuments < 3; });
  const std::vector<Answer> answers = ExpectSame({.max_experts = 1}, filter);
  std::size_t everybody = 0;
  for (const Answer& answer : answers) {
    EXPECT_EQ(answer.hits.size(), 10u);
    everybody += answer.plan.plain ? 1 : 0;
  }
  EXPECT_GT(everybody, 0u);
  EXPECT_LT(everybody, kQueries);
}

TEST_F(SearcherTest, TheErrorIsThatOfTheFirstQueryThatFails) {
  // Without dispatch every query is encoded for the second space; bad texts fail there.
  state_->schema.dispatch->enabled = false;
  std::vector<std::string> texts = Texts();
  texts[70] = "later";
  texts[41] = "sooner";
  ASSERT_OK_AND_ASSIGN(const Searcher searcher, Searcher::Create(state_, {}, nullptr));
  std::vector<QueryVectors> asked = Ask(texts);
  std::vector<Answer> answers(kQueries);
  SearcherScratch scratch;
  const absl::Status status = searcher.RunMany(absl::MakeSpan(asked), &scratch, absl::MakeSpan(answers));
  EXPECT_EQ(status, absl::InvalidArgumentError("text: sooner"));
}

TEST_F(SearcherTest, TheFirstQueryThatFailsMayFailAtALaterStepThanAnother) {
  // Query 50 lacks the vector that dispatch needs, and its encoder has another dimension; query 41 is encoded
  // only when everybody is asked, because no expert holds ten documents that pass.
  state_->schema.spaces[0].encoder = "rows";
  std::vector<std::string> texts = Texts();
  texts[41] = "sooner";
  const auto filter = Filter([](std::size_t i) { return i % kDocuments < 5; });
  ASSERT_OK_AND_ASSIGN(const Searcher searcher, Searcher::Create(state_, {.max_experts = 1}, filter));
  std::vector<QueryVectors> asked = Ask(texts);
  asked[50] = QueryVectors(state_.get(), &encoders_, &texts[50]);
  std::vector<Answer> answers(kQueries);
  SearcherScratch scratch;
  const absl::Status status = searcher.RunMany(absl::MakeSpan(asked), &scratch, absl::MakeSpan(answers));
  EXPECT_EQ(status, absl::InvalidArgumentError("text: sooner"));
}

TEST_F(SearcherTest, StopsTogetherWhereAllHaveTo) {
  std::vector<std::string> texts = Texts();
  std::vector<Answer> answers(kQueries);
  SearcherScratch scratch;
  std::atomic<bool> cancelled{true};
  SearchOptions late, unwanted;
  late.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  unwanted.cancelled = &cancelled;
  for (const auto& [options, code] : {std::make_pair(late, absl::StatusCode::kDeadlineExceeded),
                                      std::make_pair(unwanted, absl::StatusCode::kCancelled)}) {
    ASSERT_OK_AND_ASSIGN(const Searcher searcher, Searcher::Create(state_, options, nullptr));
    std::vector<QueryVectors> asked = Ask(texts);
    EXPECT_EQ(searcher.RunMany(absl::MakeSpan(asked), &scratch, absl::MakeSpan(answers)).code(), code);
  }
}

}  // namespace
}  // namespace trivium
