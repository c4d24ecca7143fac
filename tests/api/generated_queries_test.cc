// SPDX-License-Identifier: Apache-2.0
#include "api/generated_queries.h"

#include <string>

#include "gtest/gtest.h"
#include "storage/utf8.h"

namespace trivium {
namespace {

TEST(HeadingOf, IsTheTitleWhereThereIsOne) {
  EXPECT_EQ(HeadingOf("Text. More.", R"({"title":"Zinc  and\ncopper. A story","year":1})"),
            "Zinc and copper. A story");
  EXPECT_EQ(HeadingOf("", R"({"title":"Zinc"})"), "Zinc");
}

TEST(HeadingOf, IsTheFirstSentenceWhereThereIsNoTitle) {
  EXPECT_EQ(HeadingOf("Zinc and copper. More of it.", ""), "Zinc and copper");
  EXPECT_EQ(HeadingOf("What is zinc? A metal.", R"({"year":1})"), "What is zinc");
  EXPECT_EQ(HeadingOf("1. Zinc 2.5 mg a day\nMore", "{}"), "Zinc 2.5 mg a day");
  EXPECT_EQ(HeadingOf("zinc", "{}"), "zinc");
  // What is no title of words, or no JSON, is not taken for one.
  for (const char* metadata : {R"({"title":7})", R"({"title":"--"})", R"({"title":null})",
                               R"({"sub":{"title":"x"}})", R"("title")", R"({"title":)"}) {
    EXPECT_EQ(HeadingOf("Zinc. Copper.", metadata), "Zinc") << metadata;
  }
}

TEST(HeadingOf, IsEmptyWithoutALetter) {
  EXPECT_EQ(HeadingOf("", ""), "");
  EXPECT_EQ(HeadingOf(" 12. 34 --", "{}"), "");
}

TEST(HeadingOf, HasAtMostTwelveWordsAnd200BytesOfWholeCharacters) {
  EXPECT_EQ(HeadingOf("a b c d e f g h i j k l m n", ""), "a b c d e f g h i j k l");
  std::string word(150, 'x');
  EXPECT_EQ(HeadingOf(word + " " + word, ""), word);
  std::string letters;
  for (int i = 0; i < 150; ++i) letters += "ö";
  EXPECT_EQ(HeadingOf(letters, "").size(), 200u);
  letters = "o";
  for (int i = 0; i < 150; ++i) letters += "ö";
  const std::string cut = HeadingOf(letters, "");
  EXPECT_EQ(cut.size(), 199u);
  EXPECT_TRUE(storage::IsValidUtf8(cut));
}

}  // namespace
}  // namespace trivium
