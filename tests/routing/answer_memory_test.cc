// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_memory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"
#include "tests/support/temp_dir.h"

namespace trivium::routing {
namespace {

using ::testing::HasSubstr;
using testing_support::ClusteredQueries;
using testing_support::ReadWholeFile;
using testing_support::TempDir;
using testing_support::WriteWholeFile;

constexpr std::size_t kScanOnly = 1'000'000, kDimension = 24;

// Query i is about documents i, i / 2 and 1000.
std::vector<std::vector<std::uint64_t>> Relevant(std::size_t count) {
  std::vector<std::vector<std::uint64_t>> relevant;
  for (std::size_t i = 0; i < count; ++i) relevant.push_back({i, i / 2 + 500, 1000});
  return relevant;
}

// All earlier queries one after the other.
std::map<std::uint64_t, double> SlowRecall(const PilotSet& pilots, const std::vector<float>& query,
                                           double threshold) {
  std::vector<std::pair<double, std::size_t>> similar;
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    double cosine = 0;
    for (std::size_t c = 0; c < kDimension; ++c) cosine += query[c] * pilots.pilot(i).vector[c];
    similar.emplace_back(-cosine, i);
  }
  std::sort(similar.begin(), similar.end());
  similar.resize(std::min(similar.size(), kMemoryNeighbors));
  const std::vector<std::vector<std::uint64_t>> relevant = Relevant(pilots.size());
  std::map<std::uint64_t, double> squares;
  for (const auto& [negative, i] : similar) {
    if (-negative <= threshold) continue;
    for (const std::uint64_t key : relevant[i]) squares[key] += std::pow(-negative - threshold, 2);
  }
  for (auto& [key, square] : squares) square = std::sqrt(square);
  return squares;
}

class AnswerMemoryTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(AnswerMemoryTest, RecallsWhatSimilarQueriesWereJudgedFor) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  const PilotSet pilots = source.Pilots(400);
  AnswerMemory memory;
  ASSERT_OK(memory.Build(pilots.vectors(), Relevant(400), GetParam()));
  EXPECT_EQ(memory.size(), 400u);
  MemoryScratch scratch;
  std::vector<ScoredDocument> remembered;
  std::size_t recalled = 0;
  for (int q = 0; q < 60; ++q) {
    const std::vector<float> query = source.Draw(q % 3);
    const float threshold = 0.5f + 0.1f * static_cast<float>(q % 4);
    memory.Recall(query.data(), threshold, &scratch, &remembered);
    const std::map<std::uint64_t, double> slow = SlowRecall(pilots, query, threshold);
    ASSERT_EQ(remembered.size(), slow.size());
    EXPECT_TRUE(std::is_sorted(remembered.begin(), remembered.end(),
                               [](const auto& a, const auto& b) { return a.key < b.key; }));
    for (const ScoredDocument& document : remembered) {
      ASSERT_EQ(slow.count(document.key), 1u) << document.key;
      EXPECT_NEAR(document.score, slow.at(document.key), 1e-5);
    }
    recalled += remembered.size();
  }
  EXPECT_GT(recalled, 500u);
}

INSTANTIATE_TEST_SUITE_P(ByScanAndByGraph, AnswerMemoryTest, ::testing::Values(kScanOnly, 100),
                         [](const auto& info) { return info.param == kScanOnly ? "scan" : "graph"; });

TEST(AnswerMemory, WantsOneListOfDocumentsAQuery) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  AnswerMemory memory;
  EXPECT_THAT(memory.Build(source.Pilots(5).vectors(), Relevant(4), kScanOnly),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("of 4 queries, expected 5")));
  EXPECT_EQ(memory.size(), 0u);
}

TEST(AnswerMemory, RecallsNothingWhereNoQueryIsSimilar) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  AnswerMemory memory;
  ASSERT_OK(memory.Build(source.Pilots(30).vectors(), Relevant(30), kScanOnly));
  MemoryScratch scratch;
  std::vector<ScoredDocument> remembered = {{1, 1}};
  memory.Recall(source.Draw(0).data(), 1.0f, &scratch, &remembered);
  EXPECT_TRUE(remembered.empty());
}

TEST(AnswerMemory, OpenedOneRecallsLikeTheOneThatWasSaved) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  TempDir dir;
  AnswerMemory built, opened;
  ASSERT_OK(built.Build(source.Pilots(200).vectors(), Relevant(200), kScanOnly));
  ASSERT_OK(built.SaveIndex(dir.File("queries")));
  ASSERT_OK(opened.Load(built.Save()));
  ASSERT_OK(opened.OpenIndex(dir.File("queries")));
  EXPECT_EQ(opened.Save(), built.Save());
  MemoryScratch scratch;
  std::vector<ScoredDocument> a, b;
  for (int q = 0; q < 20; ++q) {
    const std::vector<float> query = source.Draw(q % 3);
    built.Recall(query.data(), 0.5f, &scratch, &a);
    opened.Recall(query.data(), 0.5f, &scratch, &b);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].key, b[i].key);
      EXPECT_EQ(a[i].score, b[i].score);
    }
  }
}

TEST(AnswerMemory, DamagedBytesAreRefused) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  AnswerMemory built;
  ASSERT_OK(built.Build(source.Pilots(20).vectors(), Relevant(20), kScanOnly));
  const std::string bytes = built.Save();
  const auto check = [&](const std::string& damaged) {
    AnswerMemory memory;
    EXPECT_EQ(memory.Load(damaged).code(), absl::StatusCode::kDataLoss);
    EXPECT_EQ(memory.size(), 0u);
  };
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
    check(damaged);
    check(bytes.substr(0, i));
  }
  check(bytes + '\0');
}

TEST(AnswerMemory, QueriesOfAnotherOneAreRefused) {
  ClusteredQueries source(kDimension, 3, 1.0, 4);
  TempDir dir;
  AnswerMemory one, other;
  ASSERT_OK(one.Build(source.Pilots(20).vectors(), Relevant(20), kScanOnly));
  ASSERT_OK(one.SaveIndex(dir.File("queries")));
  ASSERT_OK(other.Build(source.Pilots(20).vectors(), Relevant(20), kScanOnly));
  EXPECT_THAT(other.OpenIndex(dir.File("queries")),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("fingerprint")));
  const std::string bytes = ReadWholeFile(dir.File("queries"));
  WriteWholeFile(dir.File("short"), bytes.substr(0, bytes.size() / 2));
  EXPECT_EQ(one.OpenIndex(dir.File("short")).code(), absl::StatusCode::kDataLoss);
}

TEST(RaiseRemembered, AddsTheWeightedPartAndBringsHitsInOrder) {
  std::vector<ScoredDocument> hits = {{7, 0.875f}, {3, 0.75f}, {9, 0.625f}, {4, 0.5f}};
  const std::vector<ScoredDocument> remembered = {{2, 1.0f}, {4, 0.75f}, {9, 0.25f}};
  RaiseRemembered(remembered, 0.5f, &hits);
  std::vector<std::uint64_t> keys;
  for (const ScoredDocument& hit : hits) keys.push_back(hit.key);
  EXPECT_THAT(keys, ::testing::ElementsAre(4, 7, 3, 9));  // equal scores: the smaller key first
  EXPECT_EQ(hits[0].score, 0.5f);
  EXPECT_EQ(hits[0].raised, 0.375f);
  EXPECT_EQ(hits[1].raised, 0);
  EXPECT_EQ(hits[3].score, 0.625f);
  EXPECT_EQ(hits[3].raised, 0.125f);
}

}  // namespace
}  // namespace trivium::routing
