// SPDX-License-Identifier: Apache-2.0
#include "index/lexical/lexical_index.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/lexical/lexical_builder.h"
#include "index/lexical/lexical_search.h"
#include "tests/support/slow_bm25.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::index {
namespace {

using ::testing::HasSubstr;
using ::trivium::testing_support::RandomTexts;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::Terms;
using ::trivium::testing_support::WriteWholeFile;

using Texts = std::map<std::uint64_t, std::string>;
// Term, label, occurrences.
using Contents = std::map<std::string, std::map<std::uint64_t, std::uint32_t>>;

std::shared_ptr<const LexicalIndex> Build(const Texts& texts) {
  LexicalBuilder builder;
  for (const auto& [label, text] : texts) builder.Add(label, text);
  return builder.Finish();
}

Contents Expected(const Texts& texts) {
  Contents contents;
  for (const auto& [label, text] : texts) {
    for (const std::string& term : Terms(text)) ++contents[term][label];
  }
  return contents;
}

Contents ContentsOf(const LexicalIndex& index) {
  Contents contents;
  for (std::size_t t = 0; t < index.term_count(); ++t) {
    const std::string term(index.term(t));
    EXPECT_EQ(index.FindTerm(term), t);
    index.ForEachPosting(t, [&](std::uint32_t row, std::uint32_t occurrences) {
      contents[term][index.labels()[row]] = occurrences;
    });
    EXPECT_EQ(contents[term].size(), index.frequency(t));
  }
  return contents;
}

void ExpectHolds(const LexicalIndex& index, const Texts& texts) {
  EXPECT_EQ(ContentsOf(index), Expected(texts));
  ASSERT_EQ(index.size(), texts.size());
  std::size_t row = 0, tokens = 0;
  for (const auto& [label, text] : texts) {
    EXPECT_EQ(index.labels()[row], label);
    EXPECT_EQ(index.lengths()[row++], Terms(text).size());
    tokens += Terms(text).size();
  }
  EXPECT_EQ(index.token_count(), tokens);
  EXPECT_EQ(index.FindTerm("absent"), std::nullopt);
  EXPECT_EQ(index.FindTerm(""), std::nullopt);
}

TEST(LexicalIndex, HoldsTheTermsOfItsDocuments) {
  ExpectHolds(*Build({}), {});
  ExpectHolds(*Build({{5, ""}}), {{5, ""}});
  ExpectHolds(*Build({{0, "pear apple pear"}, {9, "Apples"}}), {{0, "pear apple pear"}, {9, "Apples"}});
  const Texts texts = RandomTexts(500, 1);  // some terms more than 127 rows apart
  ExpectHolds(*Build(texts), texts);
}

TEST(LexicalIndex, KeepsManyOccurrences) {
  std::string text;
  for (int i = 0; i < 70000; ++i) text += "again ";
  ExpectHolds(*Build({{1, text}, {2, "again"}}), {{1, text}, {2, "again"}});
}

TEST(LexicalIndex, ABuilderIsEmptyAfterItHasFinished) {
  LexicalBuilder builder;
  builder.Add(7, "apple");
  EXPECT_EQ(builder.Finish()->size(), 1u);
  EXPECT_EQ(builder.size(), 0u);
  builder.Add(3, "pear");
  ExpectHolds(*builder.Finish(), {{3, "pear"}});
}

TEST(LexicalIndex, MergesWhatLives) {
  const Texts texts = RandomTexts(300, 2);
  Texts parts[3], kept;
  for (const auto& entry : texts) parts[entry.first < 200 ? 0 : entry.first < 210 ? 1 : 2].insert(entry);
  const auto a = Build(parts[0]), b = Build(parts[1]), c = Build(parts[2]);
  base::Bitmap live(a->size()), none(b->size());
  for (std::size_t i = 0; i < live.size(); i += 2) live.Set(i);
  for (std::size_t i = 0; i < a->size(); ++i) {
    if (live.Test(i)) kept.insert(*texts.find(a->labels()[i]));
  }
  kept.insert(parts[2].begin(), parts[2].end());
  ExpectHolds(*MergeLexical({{a.get(), &live}, {b.get(), &none}, {c.get()}}), kept);
  ExpectHolds(*MergeLexical({{a.get()}, {b.get()}, {c.get()}}), texts);
  ExpectHolds(*MergeLexical({}), {});
}

TEST(LexicalIndex, IsTheSameFromAFile) {
  const TempDir dir;
  const Texts texts = RandomTexts(200, 3);
  ASSERT_OK(Build(texts)->Write(dir.File("i")));
  ASSERT_OK_AND_ASSIGN(const auto index, LexicalIndex::Open(dir.File("i"), true));
  ExpectHolds(*index, texts);
  ASSERT_OK(index->Write(dir.File("again")));
  EXPECT_EQ(ReadWholeFile(dir.File("i")), ReadWholeFile(dir.File("again")));
  ASSERT_OK(Build({})->Write(dir.File("none")));
  ASSERT_OK_AND_ASSIGN(const auto none, LexicalIndex::Open(dir.File("none"), true));
  ExpectHolds(*none, {});
  EXPECT_THAT(index->Write(dir.File("none")), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(LexicalIndex::Open(dir.File("absent"), false), StatusIs(absl::StatusCode::kNotFound));
}

class DamagedLexicalIndex : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(Build(RandomTexts(40, 4))->Write(dir_.File("good")));
    bytes_ = ReadWholeFile(dir_.File("good"));
  }

  // Reads all that a search may.
  static Contents Answers(const LexicalIndex& index) {
    LexicalScratch scratch;
    std::vector<ScoredLabel> found;
    const std::vector<LexicalPart> parts = {{&index}};
    SearchLexical(parts, "w0 w1 w2 w3 w50", {}, nullptr, 10, &scratch, &found, nullptr);
    Contents contents;
    for (std::size_t t = 0; t < index.term_count(); ++t) {
      index.ForEachPosting(t, [&](std::uint32_t row, std::uint32_t occurrences) {
        contents[std::string(index.term(t))][index.labels()[row]] = occurrences + index.lengths()[row];
      });
    }
    return contents;
  }

  std::size_t BlockAt(std::string_view magic) const { return bytes_.find(magic); }

  const TempDir dir_;
  std::string bytes_;
};

TEST_F(DamagedLexicalIndex, EveryTruncationIsDataLoss) {
  for (std::size_t length = 0; length < bytes_.size(); length += length < 256 ? 1 : 97) {
    WriteWholeFile(dir_.File("bad"), std::string_view(bytes_).substr(0, length));
    for (const bool verify : {false, true}) {
      ASSERT_THAT(LexicalIndex::Open(dir_.File("bad"), verify), StatusIs(absl::StatusCode::kDataLoss))
          << length;
    }
  }
}

TEST_F(DamagedLexicalIndex, AFlippedBitIsSeenOrHarmless) {
  ASSERT_OK_AND_ASSIGN(const auto good, LexicalIndex::Open(dir_.File("good"), true));
  const Contents answers = Answers(*good);
  const std::size_t blocks = BlockAt("TRIVLEX");
  ASSERT_NE(blocks, std::string::npos);
  base::Random random(1);
  for (std::size_t offset = 0; offset < bytes_.size(); offset += offset >= blocks ? 7 : 41) {
    std::string damaged = bytes_;
    damaged[offset] = static_cast<char>(damaged[offset] ^ (1 << random.Below(8)));
    WriteWholeFile(dir_.File("bad"), damaged);
    const auto verified = LexicalIndex::Open(dir_.File("bad"), true);
    if (verified.ok()) {
      EXPECT_EQ(Answers(**verified), answers) << offset;
    } else {
      EXPECT_THAT(verified, StatusIs(absl::StatusCode::kDataLoss, HasSubstr("bad"))) << offset;
    }
    const auto trusted = LexicalIndex::Open(dir_.File("bad"), false);
    if (trusted.ok()) Answers(**trusted);  // must not leave its bounds
  }
}

// What a stranger could write, with checksums that are right.
TEST_F(DamagedLexicalIndex, ForgedContentsAreRefused) {
  const auto forge = [&](auto change) {
    LexicalArrays arrays;
    arrays.labels = {3, 8};
    arrays.lengths = {3, 1};
    arrays.terms = "ab";
    arrays.term_ends = {1, 2};
    arrays.frequencies = {2, 1};
    arrays.posting_ends = {3, 4};
    arrays.postings =
        std::string("\x02\x02\x03", 3) + "\x03";  // a: twice in row 0, once in row 1; b: in row 0
    change(arrays);
    std::filesystem::remove(dir_.File("forged"));
    EXPECT_OK(LexicalIndex(arrays).Write(dir_.File("forged")));
    return LexicalIndex::Open(dir_.File("forged"), true).status();
  };
  EXPECT_OK(forge([](LexicalArrays&) {}));
  const auto refused = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("forged"));
  EXPECT_THAT(forge([](LexicalArrays& a) { a.labels[1] = 3; }), refused);
  EXPECT_THAT(forge([](LexicalArrays& a) { a.lengths[1] = 2; }), refused);
  EXPECT_THAT(forge([](LexicalArrays& a) { a.terms = "ba"; }), refused);
  EXPECT_THAT(forge([](LexicalArrays& a) { a.frequencies[0] = 1; }), refused);
  EXPECT_THAT(forge([](LexicalArrays& a) { a.frequencies[1] = 0; }), refused);
  EXPECT_THAT(forge([](LexicalArrays& a) { a.postings[2] = 0x05; }), refused);    // row 2
  EXPECT_THAT(forge([](LexicalArrays& a) { a.postings[2] = 0x01; }), refused);    // row 0 again
  EXPECT_THAT(forge([](LexicalArrays& a) { a.postings[1] = 0x01; }), refused);    // once, said the long way
  EXPECT_THAT(forge([](LexicalArrays& a) { a.postings[3] = '\x83'; }), refused);  // cut off
}

}  // namespace
}  // namespace trivium::index
