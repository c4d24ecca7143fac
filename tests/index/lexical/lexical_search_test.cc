// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/lexical_search.h"

#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/lexical/lexical_builder.h"
#include "tests/support/slow_bm25.h"
#include "tests/support/status_matchers.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::trivium::testing_support::RandomText;
using ::trivium::testing_support::RandomTexts;
using ::trivium::testing_support::SlowBm25;

using Texts = std::map<std::uint64_t, std::string>;

std::shared_ptr<const LexicalIndex> Build(const Texts& texts) {
  LexicalBuilder builder;
  for (const auto& [label, text] : texts) builder.Add(label, text);
  return builder.Finish();
}

std::vector<ScoredLabel> Search(const std::vector<LexicalPart>& parts, const std::string& query,
                                std::size_t k, const Bm25Options& options = {},
                                const base::Bitmap* allowed = nullptr) {
  LexicalScratch scratch;
  std::vector<ScoredLabel> found;
  SearchLexical(parts, query, options, allowed, k, &scratch, &found, nullptr);
  return found;
}

void ExpectRanking(const std::vector<ScoredLabel>& found,
                   const std::vector<std::pair<std::uint64_t, double>>& expected, std::size_t k) {
  ASSERT_EQ(found.size(), std::min(k, expected.size()));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i].score, expected[i].second, 1e-5 * expected[i].second) << i;
    // Rounding may swap those that are as good as equal.
    const bool twin = (i > 0 && expected[i - 1].second - expected[i].second < 1e-5) ||
                      (i + 1 < expected.size() && expected[i].second - expected[i + 1].second < 1e-5);
    if (!twin) {
      EXPECT_EQ(found[i].label, expected[i].first) << i;
    }
  }
}

TEST(SearchLexical, RanksAsTheFormulaDoes) {
  base::Random random(2);
  for (const Bm25Options options : {Bm25Options(), Bm25Options{1.2f, 0.75f}, Bm25Options{0, 0.4f},
                                    Bm25Options{2, 0}, Bm25Options{0.9f, 1}}) {
    const Texts texts = RandomTexts(120, random.Next());
    const auto index = Build(texts);
    for (int query = 0; query < 10; ++query) {
      const std::string text = RandomText(1 + random.Below(8), &random) + "absent";
      const auto expected = SlowBm25(texts, text, options);
      ExpectRanking(Search({{index.get()}}, text, 1000, options), expected, 1000);
      ExpectRanking(Search({{index.get()}}, text, 7, options), expected, 7);
    }
  }
}

TEST(SearchLexical, AnswersFromPartsAsFromOneIndex) {
  const Texts texts = RandomTexts(150, 3);
  Texts first, second, third;
  for (const auto& entry : texts)
    (entry.first < 90 ? first : entry.first < 200 ? second : third).insert(entry);
  const auto a = Build(first), b = Build(second), c = Build(third), empty = Build({});
  base::Random random(4);
  for (int query = 0; query < 20; ++query) {
    const std::string text = RandomText(5, &random);
    ExpectRanking(Search({{a.get()}, {empty.get()}, {b.get()}, {c.get()}}, text, 20),
                  SlowBm25(texts, text, {}), 20);
  }
}

TEST(SearchLexical, FindsOnlyLiveAndAllowedDocumentsWithTheScoresOfAll) {
  const Texts texts = RandomTexts(200, 5);
  const auto index = Build(texts);
  base::Random random(6);
  for (int round = 0; round < 20; ++round) {
    base::Bitmap live(index->size()), allowed(index->labels()[150]);  // the last labels are beyond it
    for (std::size_t i = 0; i < live.size(); ++i) {
      if (random.Below(3) > 0) live.Set(i);
    }
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      if (random.Below(2) > 0) allowed.Set(i);
    }
    const std::string text = RandomText(4, &random);
    auto expected = SlowBm25(texts, text, {});
    std::erase_if(expected, [&](const auto& entry) {
      const auto row = std::lower_bound(index->labels().begin(), index->labels().end(), entry.first) -
                       index->labels().begin();
      return !live.Test(row) || entry.first >= allowed.size() || !allowed.Test(entry.first);
    });
    ExpectRanking(Search({{index.get(), &live}}, text, 10, {}, &allowed), expected, 10);
  }
}

TEST(SearchLexical, CountsATermOfTheQueryAsOftenAsItOccurs) {
  const Texts texts = {{1, "apple pear"}, {2, "apple plum"}, {3, "cherry"}};
  const auto index = Build(texts);
  const float once = Search({{index.get()}}, "pear", 1)[0].score;
  EXPECT_NEAR(Search({{index.get()}}, "pear pears", 1)[0].score, 2 * once, 1e-6);
}

TEST(SearchLexical, BreaksTiesByTheSmallerLabel) {
  const auto index = Build({{1, "same words"}, {2, "same words"}, {3, "same words"}, {4, "other"}});
  const auto found = Search({{index.get()}}, "words", 2);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].label, 1u);
  EXPECT_EQ(found[1].label, 2u);
}

TEST(SearchLexical, FindsNothingWhereNothingCanBe) {
  const auto index = Build({{1, "apple"}, {2, ""}}), wordless = Build({{1, "the"}, {2, ""}});
  EXPECT_THAT(Search({{index.get()}}, "", 5), IsEmpty());
  EXPECT_THAT(Search({{index.get()}}, "the of", 5), IsEmpty());
  EXPECT_THAT(Search({{index.get()}}, "pear", 5), IsEmpty());
  EXPECT_THAT(Search({{index.get()}}, "apple", 0), IsEmpty());
  EXPECT_THAT(Search({}, "apple", 5), IsEmpty());
  EXPECT_THAT(Search({{wordless.get()}}, "apple the", 5), IsEmpty());
}

TEST(SearchLexical, CountsTheBytesOfPostings) {
  const auto index = Build({{1, "apple pear"}, {2, "apple"}});
  LexicalScratch scratch;
  std::vector<ScoredLabel> found;
  SearchCounters counters;
  const std::vector<LexicalPart> parts = {{index.get()}};
  SearchLexical(parts, "apple apple", {}, nullptr, 5, &scratch, &found, &counters);
  EXPECT_EQ(counters.bytes_read, 2u);
}

TEST(Bm25Options, SayWhatIsOutOfRange) {
  EXPECT_OK(Bm25Options().Validate());
  EXPECT_THAT((Bm25Options{-1, 0.4f}).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("k1: -1")));
  EXPECT_THAT((Bm25Options{std::numeric_limits<float>::quiet_NaN(), 0.4f}).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("k1")));
  EXPECT_THAT((Bm25Options{1, 1.5f}).Validate(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("b: 1.5, expected 0 to 1")));
}

}  // namespace
}  // namespace trivium::index
