// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/result_fusion.h"

#include <algorithm>
#include <map>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

std::vector<FusedHit> Fuse(const std::vector<ExpertResult>& results, std::size_t k, FusionMethod method) {
  FusionScratch scratch;
  std::vector<FusedHit> fused;
  FuseResults(results, k, method, &scratch, &fused);
  return fused;
}

ExpertResult Result(std::uint32_t expert, const std::vector<ScoredDocument>& hits, std::uint32_t space = 0,
                    ExpertKind kind = ExpertKind::kDense) {
  ExpertResult result;
  result.expert = expert;
  result.space = space;
  result.kind = kind;
  result.hits = hits;
  return result;
}

std::vector<std::uint64_t> Keys(const std::vector<FusedHit>& hits) {
  std::vector<std::uint64_t> keys;
  for (const FusedHit& hit : hits) keys.push_back(hit.key);
  return keys;
}

TEST(FuseResults, MergesOneSpaceByScoreAndKeepsTheBestOfDuplicates) {
  const std::vector<ScoredDocument> a = {{1, 0.9f}, {2, 0.5f}}, b = {{2, 0.7f}, {3, 0.5f}, {4, 0.5f}};
  const std::vector<FusedHit> fused = Fuse({Result(0, a), Result(1, b)}, 3, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 2, 3}));  // 3 before 4: ties by key
  EXPECT_EQ(fused[1].score, 0.7f);
  EXPECT_EQ(fused[1].expert, 1u);
}

TEST(FuseResults, PriorMovesScoresButNotTheRawScore) {
  const std::vector<ScoredDocument> a = {{1, 0.5f}}, b = {{2, 0.6f}};
  std::vector<ExpertResult> results = {Result(0, a), Result(1, b)};
  results[0].prior = 0.25f;
  const std::vector<FusedHit> fused = Fuse(results, 10, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(fused[0].score, 0.75f);
  EXPECT_EQ(fused[0].expert_score, 0.5f);
}

TEST(FuseResults, RaisedHitsRankHigherAndKeepTheirRawScore) {
  const std::vector<ScoredDocument> a = {{1, 0.5f, 0.375f}, {4, 0.75f}}, b = {{2, 0.625f}};
  const std::vector<FusedHit> fused = Fuse({Result(0, a), Result(1, b)}, 10, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 4, 2}));
  EXPECT_EQ(fused[0].score, 0.875f);
  EXPECT_EQ(fused[0].expert_score, 0.5f);
}

TEST(FuseResults, VotesByRankAcrossSpaces) {
  const std::vector<ScoredDocument> a = {{1, 0.9f}, {2, 0.8f}}, b = {{3, 77}, {2, 70}};
  std::vector<ExpertResult> results = {Result(0, a, 0), Result(1, b, 1)};
  results[1].weight = 0.5f;
  const std::vector<FusedHit> fused = Fuse(results, 10, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{2, 1, 3}));
  EXPECT_NEAR(fused[0].score, 1.0 / 62 + 0.5 / 62, 1e-7);
  EXPECT_EQ(fused[0].expert, 0u);
  EXPECT_EQ(fused[0].expert_score, 0.8f);
}

TEST(FuseResults, ListsOfOneSpaceAreOneVoterBesideAnotherKind) {
  const std::vector<ScoredDocument> a = {{1, 0.9f}, {2, 0.8f}}, b = {{3, 0.85f}}, lexical = {{9, 30}};
  const std::vector<FusedHit> fused = Fuse(
      {Result(0, a), Result(1, b), Result(2, lexical, 0, ExpertKind::kLexical)}, 10, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 9, 3, 2}));
  EXPECT_NEAR(fused[2].score, 1.0 / 62, 1e-7);
  EXPECT_EQ(fused[2].expert, 1u);
}

TEST(FuseResults, ForcedRanksMakeEveryListAVoterInItsOwnOrder) {
  const std::vector<ScoredDocument> a = {{1, 0.1f}, {2, 0.2f}}, b = {{3, 0.9f}};  // a: a caller's own order
  const std::vector<FusedHit> fused = Fuse({Result(0, a), Result(1, b)}, 10, FusionMethod::kReciprocalRank);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 3, 2}));
}

TEST(FuseResults, LexicalListsAreNotComparableByScore) {
  const std::vector<ScoredDocument> a = {{1, 5}, {2, 4}}, b = {{3, 90}};
  const std::vector<FusedHit> fused = Fuse(
      {Result(0, a, 0, ExpertKind::kLexical), Result(1, b, 0, ExpertKind::kLexical)}, 1, FusionMethod::kAuto);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1}));
}

TEST(FuseResults, AddsScaledScoresByTheSharesOfTheirVoters) {
  const std::vector<ScoredDocument> dense = {{1, 0.9f}, {2, 0.7f}, {3, 0.5f}},
                                    lexical = {{3, 30}, {1, 15}, {4, 10}};
  std::vector<ExpertResult> results = {Result(0, dense), Result(1, lexical, 0, ExpertKind::kLexical)};
  results[0].weight = 3;
  const std::vector<FusedHit> fused = Fuse(results, 10, FusionMethod::kConvex);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 2, 3, 4}));
  EXPECT_NEAR(fused[0].score, 0.75 + 0.25 * 0.25, 1e-6);
  EXPECT_NEAR(fused[1].score, 0.75 * 0.5, 1e-6);
  EXPECT_NEAR(fused[2].score, 0.25, 1e-6);  // the worst of its dense list
  EXPECT_EQ(fused[3].score, 0);
  EXPECT_EQ(fused[0].expert, 0u);
  EXPECT_EQ(fused[2].expert, 1u);
  EXPECT_EQ(fused[2].expert_score, 30);
}

TEST(FuseResults, ScalesAVoterOfSeveralListsAtTheDepthOfOne) {
  const std::vector<ScoredDocument> a = {{1, 1.0f}, {2, 0.6f}}, b = {{3, 0.8f}, {4, 0.1f}},
                                    lexical = {{5, 7}};
  const std::vector<FusedHit> fused =
      Fuse({Result(0, a), Result(1, b), Result(2, lexical, 0, ExpertKind::kLexical), Result(3, {}, 9)}, 10,
           FusionMethod::kConvex);
  EXPECT_EQ(Keys(fused), (std::vector<std::uint64_t>{1, 5, 3}));  // 0.8 is the worst that counts
  EXPECT_EQ(fused[0].score, 0.5f);
  EXPECT_EQ(fused[1].score, 0.5f);  // alone in its list
  EXPECT_EQ(fused[2].score, 0);
}

TEST(FuseResults, HandlesNothing) {
  EXPECT_TRUE(Fuse({}, 10, FusionMethod::kAuto).empty());
  EXPECT_TRUE(Fuse({Result(0, {})}, 10, FusionMethod::kReciprocalRank).empty());
  EXPECT_TRUE(Fuse({}, 10, FusionMethod::kConvex).empty());
  EXPECT_TRUE(Fuse({Result(0, {})}, 10, FusionMethod::kConvex).empty());
  const std::vector<ScoredDocument> a = {{1, 1}};
  EXPECT_TRUE(Fuse({Result(0, a)}, 0, FusionMethod::kAuto).empty());
}

TEST(FuseResults, AgreesWithASlowReferenceAndIgnoresTheOrderOfTheLists) {
  base::Random random(8);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::vector<ScoredDocument>> lists(1 + random.Below(5));
    std::map<std::uint64_t, double> by_score, by_votes;
    for (std::vector<ScoredDocument>& list : lists) {
      std::map<std::uint64_t, float> drawn;
      for (std::uint64_t i = random.Below(15); i > 0; --i) {
        drawn[random.Below(40)] = static_cast<float>(random.Below(50)) / 64;
      }
      for (const auto& [key, score] : drawn) list.push_back({key, score});
      std::stable_sort(list.begin(), list.end(),
                       [](const ScoredDocument& a, const ScoredDocument& b) { return a.score > b.score; });
      for (std::size_t i = 0; i < list.size(); ++i) {
        const double score = list[i].score;
        by_score[list[i].key] = by_score.count(list[i].key) ? std::max(by_score[list[i].key], score) : score;
        by_votes[list[i].key] += 1.0 / (61.0 + static_cast<double>(i));
      }
    }
    std::vector<ExpertResult> results;
    for (std::uint32_t e = 0; e < lists.size(); ++e) results.push_back(Result(e, lists[e]));
    for (FusionMethod method : {FusionMethod::kScore, FusionMethod::kReciprocalRank}) {
      const std::map<std::uint64_t, double>& expected = method == FusionMethod::kScore ? by_score : by_votes;
      const std::vector<FusedHit> fused = Fuse(results, 1000, method);
      ASSERT_EQ(fused.size(), expected.size());
      for (std::size_t i = 0; i < fused.size(); ++i) {
        EXPECT_NEAR(fused[i].score, expected.at(fused[i].key), 1e-6);
        if (i == 0) continue;
        EXPECT_GE(fused[i - 1].score, fused[i].score);
        EXPECT_TRUE(fused[i - 1].score != fused[i].score || fused[i - 1].key < fused[i].key);
      }
      std::vector<ExpertResult> shuffled = results;
      random.Shuffle(shuffled);
      EXPECT_EQ(Keys(Fuse(shuffled, 7, method)), Keys(Fuse(results, 7, method)));
    }
  }
}

}  // namespace
}  // namespace trivium::routing
