// SPDX-License-Identifier: Apache-2.0
// Lexical experts of a store: their rankings against the formula, and who is asked when.
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/slow_bm25.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"
#include "trivium/engine.h"

namespace trivium {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using ::trivium::testing_support::RandomText;
using ::trivium::testing_support::SlowBm25;
using ::trivium::testing_support::TempDir;

class LexicalStore : public ::testing::Test {
 protected:
  LexicalStore() { Open(); }

  void Open() {
    absl::StatusOr<std::unique_ptr<Store>> opened = Store::Open(dir_.File("kb"));
    ASSERT_OK(opened);
    store_ = *std::move(opened);
  }
  void Reopen() {
    ASSERT_OK(store_->Close());
    Open();
  }

  void AddLexical(const std::string& name, std::optional<std::string> partition = std::nullopt) {
    ExpertOptions options;
    options.name = name;
    options.kind = ExpertKind::kLexical;
    options.partition = std::move(partition);
    ASSERT_OK(store_->AddExpert(options));
  }

  // Documents "d0", "d1", ... from `first` on; those that exist are replaced.
  void Write(std::size_t first, const std::vector<std::string>& texts,
             const std::string& partition = "main") {
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < texts.size(); ++i) ids.push_back("d" + std::to_string(first + i));
    UpsertBatch batch;
    batch.ids = ids;
    batch.texts = texts;
    batch.partition = partition;
    ASSERT_OK(store_->Upsert(batch));
  }

  SearchResult Find(const std::string& text, const std::string& experts, SearchOptions options = {}) const {
    options.experts = ExpertSelection::Parse(experts);
    Query query;
    query.text = text;
    absl::StatusOr<SearchResult> result = store_->Search(query, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : SearchResult();
  }
  std::vector<std::string> FindIds(const std::string& text, const std::string& experts,
                                   const SearchOptions& options = {}) const {
    std::vector<std::string> ids;
    for (const Hit& hit : Find(text, experts, options).hits) ids.push_back(hit.id);
    return ids;
  }

  // REQUIRES: no statistics of deleted documents are left. `texts`: by number of the id.
  void ExpectFormula(const std::map<std::uint64_t, std::string>& texts) const {
    base::Random random(9);
    for (int i = 0; i < 10; ++i) {
      const std::string text = RandomText(4, &random);
      const auto expected = SlowBm25(texts, text, {});
      const SearchResult found = Find(text, "words");
      ASSERT_EQ(found.hits.size(), std::min<std::size_t>(10, expected.size()));
      for (std::size_t h = 0; h < found.hits.size(); ++h) {
        EXPECT_NEAR(found.hits[h].score, expected[h].second, 1e-4);
        EXPECT_EQ(found.hits[h].similarity, found.hits[h].score);
        EXPECT_EQ(found.hits[h].text, texts.at(std::stoul(found.hits[h].id.substr(1))));
      }
      EXPECT_EQ(found.route.fusion, "single");
    }
  }

  const TempDir dir_{TempDir::kMemory};
  std::unique_ptr<Store> store_;
};

TEST_F(LexicalStore, RanksAsTheFormulaInEveryStateOfTheTexts) {
  base::Random random(1);
  std::map<std::uint64_t, std::string> texts;
  AddLexical("words");
  for (std::size_t i = 0; i < 60; i += 3) {
    const std::vector<std::string> batch = {RandomText(20, &random), RandomText(5, &random) + "end", "w1"};
    for (std::size_t j = 0; j < batch.size(); ++j) texts[i + j] = batch[j];
    Write(i, batch, i % 2 == 0 ? "even" : "odd");
    if (i == 30) {
      ASSERT_OK(store_->Build());
    }
  }
  ExpectFormula(texts);
  Reopen();
  ExpectFormula(texts);
  ASSERT_OK(store_->Build());
  ExpectFormula(texts);
  Reopen();
  ExpectFormula(texts);
  ASSERT_OK(store_->Delete(std::vector<std::string>{"d0", "d7"}, std::nullopt, ""));
  Write(6, {"w3 replaced"}, "even");
  texts.erase(0);
  texts.erase(7);
  texts[6] = "w3 replaced";
  EXPECT_EQ(FindIds("replaced", "words"), std::vector<std::string>{"d6"});
  ASSERT_OK(store_->Compact());  // drops what is dead from the statistics
  ExpectFormula(texts);
  EXPECT_OK(store_->Verify());
  ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
  ASSERT_EQ(info.text_sets.size(), 2u);
  EXPECT_EQ(info.text_sets[0].documents + info.text_sets[1].documents, texts.size());
  EXPECT_EQ(info.text_sets[0].segments, 1u);
  EXPECT_EQ(info.text_sets[0].unsealed, 0u);
  EXPECT_EQ(info.text_sets[0].deleted, 0u);
}

TEST_F(LexicalStore, AnExpertThatComesLaterKnowsTheTextsOfItsPartition) {
  Write(0, {"apple pie", "", "apple tart"}, "sweet");
  Write(3, {"apple salad"}, "green");
  AddLexical("words");
  AddLexical("sweet.words", "sweet");
  EXPECT_THAT(FindIds("apples", "words"), UnorderedElementsAre("d0", "d2", "d3"));
  EXPECT_THAT(FindIds("apples", "sweet.words"), UnorderedElementsAre("d0", "d2"));
  ASSERT_OK(store_->RemoveExpert("words"));
  ASSERT_OK_AND_ASSIGN(StoreInfo info, store_->Inspect());
  ASSERT_EQ(info.text_sets.size(), 1u);
  EXPECT_EQ(info.text_sets[0].documents, 2u);
  ASSERT_OK(store_->Build());
  ASSERT_OK(store_->RemoveExpert("sweet.words"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_.File("kb/segments")));
  AddLexical("again");
  EXPECT_THAT(FindIds("apples", "again"), UnorderedElementsAre("d0", "d2", "d3"));
}

TEST_F(LexicalStore, NeverFindsTheDeadAndKeepsToFilters) {
  AddLexical("words");
  Write(0, {"apple one", "apple two", "apple three"});
  ASSERT_OK(store_->Build());
  ASSERT_OK(store_->Delete(std::vector<std::string>{"d1"}, std::nullopt, ""));
  EXPECT_THAT(FindIds("apple", "words"), UnorderedElementsAre("d0", "d2"));
  Write(2, {"pear"});
  EXPECT_THAT(FindIds("apple", "words"), ElementsAre("d0"));
  ASSERT_OK(store_->UpdateMetadata({"d2"}, {R"({"year": 2020})"}, std::nullopt));
  SearchOptions options;
  options.filter = R"({"field": "year", "op": "==", "value": 2020})";
  EXPECT_THAT(FindIds("apple pear", "words", options), ElementsAre("d2"));
  options.filter = R"({"field": "year", "op": "==", "value": 2021})";
  EXPECT_THAT(FindIds("apple pear", "words", options), IsEmpty());
  Reopen();
  EXPECT_THAT(FindIds("apple pear", "words"), UnorderedElementsAre("d0", "d2"));
}

TEST_F(LexicalStore, AReaderSeesWhatIsWrittenOnceItRefreshes) {
  AddLexical("words");
  Write(0, {"apple"});
  OpenOptions read_only;
  read_only.read_only = true;
  ASSERT_OK_AND_ASSIGN(const auto reader, Store::Open(dir_.File("kb"), read_only));
  Write(1, {"apple"});
  ASSERT_OK(store_->Build());
  Write(2, {"apple"});
  Query query;
  query.text = "apple";
  ASSERT_OK_AND_ASSIGN(SearchResult result, reader->Search(query));
  EXPECT_EQ(result.hits.size(), 1u);
  ASSERT_OK(reader->Refresh());
  ASSERT_OK_AND_ASSIGN(result, reader->Search(query));
  EXPECT_EQ(result.hits.size(), 3u);
}

TEST_F(LexicalStore, ASnapshotHasTheTexts) {
  AddLexical("words");
  Write(0, {"apple"});
  ASSERT_OK(store_->Build());
  Write(1, {"apple"});
  ASSERT_OK(store_->Snapshot(dir_.File("copy")));
  ASSERT_OK_AND_ASSIGN(const auto copy, Store::Open(dir_.File("copy")));
  Query query;
  query.text = "apple";
  ASSERT_OK_AND_ASSIGN(const SearchResult result, copy->Search(query));
  EXPECT_EQ(result.hits.size(), 2u);
}

TEST_F(LexicalStore, ADamagedOrMissingSegmentIsDataLoss) {
  AddLexical("words");
  Write(0, {"apple pie", "pear"});
  ASSERT_OK(store_->Build());
  ASSERT_OK_AND_ASSIGN(const VerifyReport whole, store_->Verify());
  ASSERT_OK(store_->Close());
  const std::string file = dir_.File("kb/segments/000001.terms");
  std::string bytes = testing_support::ReadWholeFile(file);
  std::string damaged = bytes;
  damaged[damaged.find("applepear")] = 'A';
  testing_support::WriteWholeFile(file, damaged);
  Open();  // the order of the terms still holds: only reading all of it can tell
  EXPECT_THAT(store_->Verify(), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("000001.terms")));
  ASSERT_OK(store_->Close());
  std::filesystem::remove(file);
  EXPECT_THAT(Store::Open(dir_.File("kb")), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("000001.terms")));
  testing_support::WriteWholeFile(file, bytes);
  Open();
  ASSERT_OK_AND_ASSIGN(const VerifyReport again, store_->Verify());
  EXPECT_EQ(again.documents, whole.documents);
}

// Vectors of a space beside the words.
class MixedStore : public LexicalStore {
 protected:
  MixedStore() {
    SpaceOptions space{.name = "plane", .dimension = 2};
    EXPECT_OK(store_->AddSpace(space));
    AddLexical("words");
    const std::vector<std::string> ids = {"d0", "d1", "d2", "d3"},
                                   texts = {"apple", "pear", "apple pear", "fig"};
    const std::vector<float> vectors = {1, 0, 0.8f, 0.6f, 0, 1, 0.6f, 0.8f};
    UpsertBatch batch;
    batch.ids = ids;
    batch.texts = texts;
    batch.vectors = {{"plane", {vectors.data(), 4, 2}}};
    EXPECT_OK(store_->Upsert(batch));
  }

  absl::StatusOr<SearchResult> Ask(const std::string& text, const std::string& experts,
                                   FusionChoice fusion = FusionChoice::kReciprocalRank) const {
    SearchOptions options;
    options.experts = ExpertSelection::Parse(experts);
    options.fusion = fusion;
    Query query;
    query.text = text;
    query.vectors = {{"plane", {axis_.data(), 1, 2}}};
    return store_->Search(query, options);
  }
  static std::vector<std::string> Ids(const SearchResult& result) {
    std::vector<std::string> ids;
    for (const Hit& hit : result.hits) ids.push_back(hit.id);
    return ids;
  }

  const std::vector<float> axis_ = {1, 0};
};

TEST_F(MixedStore, AsksEverySpaceBesideTheWords) {
  for (const char* experts : {"auto", "all", "plane,words"}) {
    ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask("pear", experts));
    EXPECT_EQ(result.route.fusion, "rrf") << experts;
    // d1 is second by vector and first by words, d2 last by vector and second by words.
    EXPECT_THAT(Ids(result), ElementsAre("d1", "d2", "d0", "d3")) << experts;
    EXPECT_NEAR(result.hits[0].score, (1.0 / 62 + 1.0 / 61) / 2, 1e-6);
  }
}

TEST_F(MixedStore, LeavesWordsOutWhereThereIsNoText) {
  for (const char* experts : {"auto", "all"}) {
    ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask("", experts));
    EXPECT_THAT(Ids(result), ElementsAre("d0", "d1", "d3", "d2"));
    EXPECT_EQ(result.route.fusion, "single");
    EXPECT_EQ(result.hits[1].similarity, 0.8f);
    for (const ExpertConsidered& expert : result.route.experts) {
      if (expert.expert == "words") {
        EXPECT_FALSE(expert.chosen);
        EXPECT_EQ(expert.reason, "needs the query's text");
      }
    }
  }
  EXPECT_THAT(Ask("", "words"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'words' is lexical")));
  EXPECT_THAT(Ask("", "plane,words"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(MixedStore, FusesByScaledScoresWhereAsked) {
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask("pear", "all", FusionChoice::kConvex));
  EXPECT_EQ(result.route.fusion, "convex");
  // By vector 1, 0.8, 0.6, 0; by words d1 1, d2 0; shares 0.7 and 0.3.
  EXPECT_THAT(Ids(result), ElementsAre("d1", "d0", "d3", "d2"));
  EXPECT_NEAR(result.hits[0].score, 0.7 * 0.8 + 0.3, 1e-5);
  EXPECT_NEAR(result.hits[1].score, 0.7, 1e-5);
  EXPECT_EQ(result.hits[0].expert, "plane");
}

TEST_F(MixedStore, WordsThatNobodyUsesLeaveTheVectorsAlone) {
  ASSERT_OK_AND_ASSIGN(const SearchResult result, Ask("zebra", "all"));
  EXPECT_EQ(result.route.fusion, "score");
  EXPECT_EQ(result.hits[0].score, 1.0f);
}

TEST_F(MixedStore, AskingAllAsksTheWidestOfSeveralLexicalExperts) {
  AddLexical("main.words", "main");
  AddLexical("words2");
  ASSERT_OK_AND_ASSIGN(const SearchResult all, Ask("pear", "all"));
  ASSERT_OK_AND_ASSIGN(const SearchResult one, Ask("pear", "plane,words"));
  EXPECT_EQ(Ids(all), Ids(one));
  EXPECT_EQ(all.trace.searches, 2u);
}

TEST_F(MixedStore, ABatchAnswersAsSingleQueriesDo) {
  const std::vector<std::string> texts = {"pear", "", "apple fig", "zebra"};
  std::vector<float> rows;
  for (std::size_t i = 0; i < texts.size(); ++i) rows.insert(rows.end(), axis_.begin(), axis_.end());
  SearchOptions options;
  options.experts = ExpertSelection::Parse("all");
  ASSERT_OK_AND_ASSIGN(const BatchResult batch,
                       store_->SearchBatch({{"plane", {rows.data(), 4, 2}}}, texts, options));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    ASSERT_OK_AND_ASSIGN(const SearchResult single, Ask(texts[i], "all"));
    EXPECT_EQ(batch.ids[i], Ids(single)) << i;
    for (std::size_t h = 0; h < single.hits.size(); ++h) {
      EXPECT_EQ(batch.scores[i * options.k + h], single.hits[h].score);
    }
  }
  options.experts = ExpertSelection::Parse("words");
  ASSERT_OK_AND_ASSIGN(const BatchResult words, store_->SearchBatch({}, {"pear"}, options));
  EXPECT_THAT(words.ids[0], ElementsAre("d1", "d2"));
}

TEST_F(MixedStore, RefusesWhatALexicalExpertCannotHave) {
  const auto add = [&](auto change) {
    ExpertOptions options;
    options.name = "new";
    options.kind = ExpertKind::kLexical;
    change(options);
    return store_->AddExpert(options);
  };
  const auto refused = [](const char* what) {
    return StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(what));
  };
  EXPECT_THAT(add([](ExpertOptions& o) { o.space = "plane"; }), refused("space: 'plane', expected none"));
  EXPECT_THAT(add([](ExpertOptions& o) {
                o.adapter = {1, 0, 0, 1};
              }),
              refused("adapter: given, expected none"));
  EXPECT_THAT(add([](ExpertOptions& o) { o.k1 = -1; }), refused("k1: -1"));
  EXPECT_THAT(add([](ExpertOptions& o) { o.b = 2; }), refused("b: 2, expected 0 to 1"));
  EXPECT_FALSE(store_->HasExpert("new"));
  EXPECT_THAT(store_->SetAdapter({.expert = "words", .space = "", .matrix = {1, 0, 0, 1}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lexical")));
  SearchOptions options;
  options.lexical_weight = 1.5;
  EXPECT_THAT(options.Validate(), refused("lexical_weight: 1.5, expected 0 to 1"));
}

// Vectors tell the two partitions apart and nothing else; words tell their documents apart.
class TaughtWords : public LexicalStore {
 protected:
  static constexpr std::size_t kCount = 60;

  TaughtWords() {
    EXPECT_OK(store_->AddSpace({.name = "plane", .dimension = 2}));
    AddLexical("words");
    for (const char* partition : {"left", "right"}) {
      ExpertOptions expert{.name = partition, .space = "plane"};
      expert.partition = partition;
      EXPECT_OK(store_->AddExpert(expert));
      Fill(partition);
    }
    AddLexical("left.words", "left");  // covered by "words"
  }

  static std::vector<float> Vector(std::string_view partition, std::size_t i) {
    const float angle = (partition == "left" ? 0.0f : 1.5f) + 0.001f * static_cast<float>(i * 37 % kCount);
    return {std::cos(angle), std::sin(angle)};
  }
  static std::string Text(std::size_t i) { return "common item" + std::to_string(i); }

  void Fill(const std::string& partition) {
    std::vector<std::string> ids, texts;
    std::vector<float> rows;
    for (std::size_t i = 0; i < kCount; ++i) {
      ids.push_back(partition + std::to_string(i));
      texts.push_back(Text(i));
      const std::vector<float> row = Vector(partition, i);
      rows.insert(rows.end(), row.begin(), row.end());
    }
    UpsertBatch batch;
    batch.ids = ids;
    batch.texts = texts;
    batch.vectors = {{"plane", {rows.data(), kCount, 2}}};
    batch.partition = partition;
    EXPECT_OK(store_->Upsert(batch));
  }

  absl::StatusOr<DispatchReport> Train(bool with_texts) {
    TrainDispatchOptions options;
    options.routers = {"logistic", "static_best"};
    rows_.clear();
    for (const char* partition : {"left", "right"}) {
      std::vector<float>& rows = rows_.emplace_back();
      QuerySet& set = options.train.emplace_back();
      set.name = partition;
      for (std::size_t i = 0; i < kCount; ++i) {
        if (with_texts) set.texts.push_back(Text(i));
        set.judgements.push_back({{partition + std::to_string(i), partition, 1.0}});
        const std::vector<float> row = Vector(partition, (i * 11 + 5) % kCount);
        rows.insert(rows.end(), row.begin(), row.end());
      }
      set.vectors = {{"plane", {rows.data(), kCount, 2}}};
    }
    return store_->TrainDispatch(options);
  }

  SearchResult Ask(std::size_t i, std::optional<double> lexical_weight = std::nullopt) const {
    SearchOptions options;
    options.router = "logistic";
    options.lexical_weight = lexical_weight;
    const std::vector<float> row = Vector("right", (i * 11 + 5) % kCount);
    Query query;
    query.text = Text(i);
    query.vectors = {{"plane", {row.data(), 1, 2}}};
    absl::StatusOr<SearchResult> result = store_->Search(query, options);
    EXPECT_OK(result);
    return result.ok() ? *std::move(result) : SearchResult();
  }

  std::vector<std::vector<float>> rows_;
};

TEST_F(TaughtWords, JoinWithTheShareThatTrainingFound) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(/*with_texts=*/true));
  EXPECT_EQ(report.router, "logistic");
  float share = 0;
  for (int opened = 0; opened < 2; ++opened) {
    ASSERT_OK_AND_ASSIGN(const StoreInfo info, store_->Inspect());
    EXPECT_EQ(info.dispatch.lexical_weight, report.lexical_weight);
    const SearchResult found = Ask(7);
    ASSERT_FALSE(found.hits.empty());
    EXPECT_EQ(found.hits[0].id, "right7");
    EXPECT_EQ(found.route.fusion, "convex");
    const ExpertConsidered& words = found.route.experts[1];
    EXPECT_EQ(found.route.experts[0].expert, "right");
    EXPECT_EQ(words.expert, "words");
    EXPECT_EQ(words.reason, "joins with a learned share");
    EXPECT_GT(words.probability, 0);
    if (opened > 0) {
      EXPECT_EQ(words.probability, share);
    }
    share = words.probability;
    for (const ExpertConsidered& expert : found.route.experts) {
      EXPECT_TRUE(expert.expert != "left.words" || !expert.chosen);
    }
    EXPECT_EQ(Ask(7, 0.0).trace.searches, found.trace.searches - 1);
    Reopen();
  }
}

TEST_F(TaughtWords, AreLeftAsTheyWereWhereQueriesHaveNoTexts) {
  ASSERT_OK_AND_ASSIGN(const DispatchReport report, Train(/*with_texts=*/false));
  EXPECT_FALSE(report.lexical_weight.has_value());
}

}  // namespace
}  // namespace trivium
