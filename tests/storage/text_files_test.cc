// SPDX-License-Identifier: Apache-2.0
#include "storage/text_files.h"

#include <zlib.h>

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/line_reader.h"
#include "storage/utf8.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace trivium::storage {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::trivium::testing_support::ReadWholeFile;
using ::trivium::testing_support::TempDir;
using ::trivium::testing_support::WriteWholeFile;

std::string Gzip(const std::string& text) {
  z_stream state{};
  EXPECT_EQ(deflateInit2(&state, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string packed(deflateBound(&state, text.size()), '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&state, Z_FINISH), Z_STREAM_END);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

class TextFilesTest : public ::testing::Test {
 protected:
  std::string Write(std::string_view contents, const std::string& name = "file.jsonl") {
    WriteWholeFile(dir_.File(name), contents);
    return dir_.File(name);
  }
  // "id|text|metadata" for each record.
  absl::StatusOr<std::vector<std::string>> Corpus(std::string_view contents) {
    return CorpusAt(Write(contents));
  }
  static absl::StatusOr<std::vector<std::string>> CorpusAt(const std::string& path) {
    std::vector<std::string> records;
    const absl::Status status = ReadCorpus(path, [&](CorpusRecord record) {
      records.push_back(record.id + "|" + record.text + "|" + record.metadata);
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return records;
  }
  auto RefusedAtLine(int line, std::string_view what) {
    return StatusIs(absl::StatusCode::kInvalidArgument,
                    AllOf(HasSubstr(std::string(what)), HasSubstr(", expected "),
                          EndsWith(absl::StrFormat("(%s:%d)", dir_.File("file.jsonl"), line))));
  }

  TempDir dir_;
};

TEST_F(TextFilesTest, ReadsDocuments) {
  EXPECT_THAT(
      Corpus("{\"_id\":\"a\",\"title\":\"T\",\"text\":\"x\",\"metadata\":{\"year\":2020,\"b\":[1.5,null]}}\n"
             "{\"_id\":7,\"text\":\"only text\",\"unknown\":1}\n"
             "{\"_id\":-18446744073709,\"title\":\"only title\",\"metadata\":{}}\n"
             "{\"_id\":18446744073709551615,\"title\":\"\",\"text\":\"\\u00e9\\n\",\"metadata\":null}\n"
             "{\"_id\":\"5\",\"title\":null,\"text\":\"\"}"),
      IsOkAndHolds(ElementsAre("a|T. x|{\"b\":[1.5,null],\"year\":2020}", "7|only text|",
                               "-18446744073709|only title|", "18446744073709551615|\u00e9\n|", "5||")));
}

TEST_F(TextFilesTest, ToleratesByteOrderMarkCrlfAndBlankLines) {
  EXPECT_THAT(
      Corpus("\xEF\xBB\xBF{\"_id\":\"a\",\"text\":\"x\"}\r\n\r\n  \t\n\n{\"_id\":\"b\",\"text\":\"y\"}\r\n"),
      IsOkAndHolds(ElementsAre("a|x|", "b|y|")));
  EXPECT_THAT(Corpus(""), IsOkAndHolds(IsEmpty()));
}

TEST_F(TextFilesTest, CountsBlankLines) {
  EXPECT_THAT(Corpus("\n\r\n{\"_id\":\"a\",\"text\":\"x\"}\n\n{\n"),
              RefusedAtLine(5, "JSON: syntax error at byte"));
}

TEST_F(TextFilesTest, RefusesMalformedDocuments) {
  const std::string good = "{\"_id\":\"a\",\"text\":\"x\"}\n";
  const std::vector<std::tuple<std::string, std::string>> cases = {
      {"{\"_id\":\"a\"", "JSON: syntax error"},
      {"[1]", "JSON: '[1]'"},
      {"{\"_id\":\"a\",\"text\":\"x\"} x", "JSON: syntax error"},
      {"{\"_id\":\"a\",\"text\":\"\\ud800\"}", "JSON: syntax error"},
      {"{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"n\":1e999}}", "JSON: a number out of range"},
      {"{\"text\":\"x\"}", "_id: absent"},
      {"{\"_id\":\"\",\"text\":\"x\"}", "_id: '"},
      {"{\"_id\":1.5,\"text\":\"x\"}", "_id: '1.5'"},
      {"{\"_id\":true,\"text\":\"x\"}", "_id: 'true'"},
      {"{\"_id\":\"a\"}", "document: neither title nor text in 'a'"},
      {"{\"_id\":\"a\",\"text\":3}", "text: '3'"},
      {"{\"_id\":\"a\",\"title\":[],\"text\":\"x\"}", "title: '[]'"},
      {"{\"_id\":\"a\",\"text\":\"x\",\"metadata\":[]}", "metadata: '[]'"},
      {"{\"_id\":\"a\",\"text\":\"\xC3\x28\"}", "text: invalid UTF-8"},
      {"{\"_id\":\"a\",\"text\":\"x\",\"metadata\":{\"m\":" + std::string(200, '[') + std::string(200, ']') +
           "}}",
       "JSON: nested too deep"},
      {std::string(1000000, '['), "JSON: nested too deep"},
  };
  for (const auto& [line, what] : cases) {
    EXPECT_THAT(Corpus(good + line + "\n" + good), RefusedAtLine(2, what)) << line.substr(0, 100);
  }
}

TEST_F(TextFilesTest, StopsWithTheVisitorsError) {
  int seen = 0;
  EXPECT_THAT(ReadCorpus(Write("{\"_id\":1,\"text\":\"\"}\n{\"_id\":2,\"text\":\"\"}\n"),
                         [&](CorpusRecord) {
                           ++seen;
                           return absl::CancelledError("enough");
                         }),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
  EXPECT_EQ(seen, 1);
}

TEST_F(TextFilesTest, ReadsQueries) {
  ASSERT_OK_AND_ASSIGN(
      const auto queries,
      ReadQueries(Write("{\"_id\":\"q1\",\"text\":\"what?\"}\n{\"_id\":2,\"text\":\"why?\"}")));
  ASSERT_EQ(queries.size(), 2u);
  EXPECT_EQ(queries[0].id + "|" + queries[0].text, "q1|what?");
  EXPECT_EQ(queries[1].id + "|" + queries[1].text, "2|why?");
  EXPECT_THAT(ReadQueries(Write("{\"_id\":\"q1\"}")), RefusedAtLine(1, "query: no text in 'q1'"));
}

TEST_F(TextFilesTest, ReadsJudgements) {
  ASSERT_OK_AND_ASSIGN(
      const auto judgements,
      ReadJudgements(Write("query-id\tcorpus-id\tscore\r\nq1\td 1\t2\r\nq1\td2\t0\nq2\td1\t-1.5")));
  ASSERT_EQ(judgements.size(), 3u);
  EXPECT_EQ(judgements[0].query_id, "q1");
  EXPECT_EQ(judgements[0].document_id, "d 1");
  EXPECT_EQ(judgements[0].grade, 2);
  EXPECT_EQ(judgements[2].grade, -1.5);
  EXPECT_THAT(ReadJudgements(Write("query-id\tcorpus-id\tscore\n")), IsOkAndHolds(IsEmpty()));
}

TEST_F(TextFilesTest, RefusesMalformedJudgements) {
  EXPECT_THAT(ReadJudgements(Write("")), RefusedAtLine(1, "header: none"));
  EXPECT_THAT(ReadJudgements(Write("q1\td1\t1\n")), RefusedAtLine(1, "header: 'q1\\td1\\t1'"));
  const std::string header = "query-id\tcorpus-id\tscore\n";
  EXPECT_THAT(ReadJudgements(Write(header + "q1\t0\td1\t1\n")), RefusedAtLine(2, "judgement: 4 columns"));
  EXPECT_THAT(ReadJudgements(Write(header + "q1 d1 1\n")), RefusedAtLine(2, "judgement: 1 columns"));
  EXPECT_THAT(ReadJudgements(Write(header + "\td1\t1\n")), RefusedAtLine(2, "query-id: empty"));
  EXPECT_THAT(ReadJudgements(Write(header + "q1\t\t1\n")), RefusedAtLine(2, "corpus-id: empty"));
  for (std::string score : {"", "x", "1x", "nan", "inf"}) {
    EXPECT_THAT(ReadJudgements(Write(header + "q1\td1\t" + score + "\n")), RefusedAtLine(2, "score: "))
        << score;
  }
}

TEST_F(TextFilesTest, NamesAFileThatIsNotThere) {
  EXPECT_THAT(ReadQueries(dir_.File("absent")), StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  EXPECT_THAT(ReadQueries(dir_.path()), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(dir_.path())));
}

TEST_F(TextFilesTest, UnpacksGzipUnderAnyName) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 20000; ++i) {  // larger than the reader's buffers
    const std::string id = std::to_string(i * 7919 % 20011);
    text += "{\"_id\":\"" + id + "\",\"text\":\"some text of " + id + "\"}\n";
    expected.push_back(id + "|some text of " + id + "|");
  }
  EXPECT_THAT(CorpusAt(Write(Gzip(text), "a.jsonl.gz")), IsOkAndHolds(expected));
  EXPECT_THAT(CorpusAt(Write(Gzip(text), "a.jsonl")), IsOkAndHolds(expected));
  EXPECT_THAT(CorpusAt(Write(text, "b.jsonl")), IsOkAndHolds(expected));
  const std::size_t half = text.find('\n', text.size() / 2) - 5;
  EXPECT_THAT(CorpusAt(Write(Gzip(text.substr(0, half)) + Gzip(text.substr(half)), "members.gz")),
              IsOkAndHolds(expected));
}

TEST_F(TextFilesTest, FindsEveryTruncationAndFlippedBitOfAGzipFile) {
  const std::string text =
      "{\"_id\":\"a\",\"text\":\"some text, some more text\"}\n{\"_id\":\"b\",\"text\":\"y\"}\n";
  const std::string packed = Gzip(text);
  const auto expected = *Corpus(text);
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_THAT(CorpusAt(Write(packed.substr(0, size), "cut.gz")),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("cut.gz")))
        << size;
  }
  for (std::size_t bit = 0; bit < packed.size() * 8; ++bit) {
    std::string flipped = packed;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const auto found = CorpusAt(Write(flipped, "flipped.gz"));
    // Bits of the header's time and system fields mean nothing.
    if (found.ok()) {
      EXPECT_EQ(*found, expected) << bit;
    } else {
      EXPECT_THAT(found, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("flipped.gz"))) << bit;
    }
  }
}

TEST_F(TextFilesTest, RefusesALineThatFillsTheMemory) {
  std::string line(kMaxLineBytes + 1, ' ');
  EXPECT_THAT(CorpusAt(Write(Gzip(line), "bomb.gz")),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("longer than 67108864 bytes")));
}

TEST(Utf8, AcceptsExactlyTheWellFormed) {
  for (std::string_view good : {"", "a", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsValidUtf8(good)) << Quoted(good);
  }
  for (std::string_view bad :
       {"\x80", "\xC1\xBF", "\xC2", "\xC2\xC0", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE1\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(IsValidUtf8(bad)) << Quoted(bad);
  }
}

TEST(Quoted, ShortensAndEscapes) {
  EXPECT_EQ(Quoted("a\tb"), "'a\\tb'");
  EXPECT_EQ(Quoted(std::string(61, 'x')), absl::StrFormat("'%s...'", std::string(60, 'x')));
  const std::string cut(59, 'x');
  EXPECT_EQ(Quoted(cut + "\u00e9"), absl::StrFormat("'%s...'", cut)) << "no half character";
}

}  // namespace
}  // namespace trivium::storage
