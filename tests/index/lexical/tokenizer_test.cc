// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/tokenizer.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/utf8.h"
#include "tests/support/slow_bm25.h"

namespace trivium::index {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::trivium::testing_support::Terms;

TEST(Tokenizer, GivesWordsInLowerCaseInTheirOrder) {
  EXPECT_THAT(Terms("Graph-based SEARCH, 1994; graph!"),
              ElementsAre("graph", "based", "search", "1994", "graph"));
  EXPECT_THAT(Terms(""), IsEmpty());
  EXPECT_THAT(Terms(" .,;-_()\n\t"), IsEmpty());
}

TEST(Tokenizer, LeavesStopWordsOut) {
  EXPECT_THAT(Terms("The cat is on the mat with WHO"), ElementsAre("cat", "mat"));
  EXPECT_TRUE(IsStopWord("you"));
  EXPECT_TRUE(IsStopWord("a"));
  EXPECT_FALSE(IsStopWord("cat"));
  EXPECT_FALSE(IsStopWord(""));
}

TEST(Tokenizer, TakesPluralEndings) {
  EXPECT_THAT(Terms("vectors studies horses glass corpus gas bus"),
              ElementsAre("vector", "study", "horse", "glass", "corpus", "gas", "bus"));
  EXPECT_THAT(Terms("shoes trees zombaies movieies"), ElementsAre("shoes", "trees", "zombaies", "movieies"));
}

TEST(Tokenizer, KnowsLettersBeyondAscii) {
  EXPECT_THAT(Terms("Überraschung ÉTÉ ŁÓDŹ ΑΒΓ Жук ЁЖ"),
              ElementsAre("überraschung", "été", "łódź", "αβγ", "жук", "ёж"));
  EXPECT_THAT(Terms("naïve café"), ElementsAre("naïve", "café"));
  EXPECT_THAT(Terms("検索 エンジン"), ElementsAre("検索", "エンジン"));
}

TEST(Tokenizer, SplitsAtPunctuationBeyondAscii) {
  EXPECT_THAT(Terms("“quoted”—dash…end don’t x×y 5€ 検索、エンジン"),
              ElementsAre("quoted", "dash", "end", "don", "t", "x", "y", "5", "検索", "エンジン"));
  EXPECT_THAT(Terms("no\xc2\xa0"
                    "break"),
              ElementsAre("break"));  // "no" is a stop word
}

TEST(Tokenizer, TakesBrokenUtf8AsASeparatorAndAlwaysGivesUtf8) {
  EXPECT_THAT(Terms("one\xff"
                    "two\xc3"),
              ElementsAre("one", "two"));
  base::Random random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string text(random.Below(30), '\0');
    for (char& c : text) c = static_cast<char>(random.Next());
    for (const std::string& term : Terms(text)) {
      EXPECT_FALSE(term.empty());
      if (storage::IsValidUtf8(text)) {
        EXPECT_TRUE(storage::IsValidUtf8(term));
      }
    }
  }
}

TEST(Tokenizer, LeavesOutWhatIsTooLongForAWord) {
  EXPECT_THAT(Terms(std::string(kMaxTermBytes, 'x') + " short " + std::string(kMaxTermBytes + 1, 'y')),
              ElementsAre(std::string(kMaxTermBytes, 'x'), "short"));
}

}  // namespace
}  // namespace trivium::index
