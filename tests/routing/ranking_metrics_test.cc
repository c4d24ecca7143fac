// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/ranking_metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

// The definitions, as slow and plain as they can be.
struct SlowMetrics {
  std::map<std::uint64_t, double> grades;

  double Grade(std::uint64_t key) const { return grades.count(key) ? std::max(grades.at(key), 0.0) : 0.0; }
  double Ndcg(std::size_t k, const std::vector<std::uint64_t>& ranked) const {
    std::vector<double> ideal;
    for (const auto& [key, grade] : grades) ideal.push_back(std::max(grade, 0.0));
    std::sort(ideal.rbegin(), ideal.rend());
    double best = 0, got = 0;
    for (std::size_t i = 0; i < k && i < ideal.size(); ++i) best += ideal[i] / std::log2(i + 2.0);
    for (std::size_t i = 0; i < k && i < ranked.size(); ++i) got += Grade(ranked[i]) / std::log2(i + 2.0);
    return best > 0 ? got / best : 0;
  }
  double Recall(std::size_t k, const std::vector<std::uint64_t>& ranked) const {
    double relevant = 0, found = 0;
    for (const auto& [key, grade] : grades) relevant += grade > 0;
    for (std::size_t i = 0; i < k && i < ranked.size(); ++i) found += Grade(ranked[i]) > 0;
    return relevant > 0 ? found / relevant : 0;
  }
};

TEST(RankingMetrics, AgreeWithTheSlowReferenceOnRandomLists) {
  base::Random random(3);
  for (int round = 0; round < 500; ++round) {
    SlowMetrics slow;
    std::vector<JudgedDocument> judged;
    for (std::uint64_t i = random.Below(12); i > 0; --i) {
      const std::uint64_t key = random.Below(30);
      const double grade = static_cast<double>(random.Below(5)) - 1;
      slow.grades[key] = grade;
      judged.push_back({key, grade});
    }
    std::vector<std::uint64_t> ranked(30);
    std::iota(ranked.begin(), ranked.end(), 0);
    random.Shuffle(ranked);
    ranked.resize(random.Below(31));
    const Judgements judgements(judged);
    for (std::size_t k : {0, 1, 3, 10, 100}) {
      EXPECT_NEAR(NdcgAt(k, ranked, judgements), slow.Ndcg(k, ranked), 1e-12);
      EXPECT_NEAR(RecallAt(k, ranked, judgements), slow.Recall(k, ranked), 1e-12);
    }
  }
}

TEST(RankingMetrics, GiveTheFiguresComputedByHand) {
  const Judgements judgements({{7, 3}, {1, 1}, {4, 2}, {9, 0}, {5, -1}});
  const std::vector<std::uint64_t> ranked = {9, 7, 5, 1};
  EXPECT_EQ(judgements.relevant_count(), 3u);
  // DCG = 3 / log2(3) + 1 / log2(5); ideal = 3 + 2 / log2(3) + 1 / 2.
  EXPECT_NEAR(NdcgAt(10, ranked, judgements), (1.8927892607 + 0.4306765581) / 4.7618595071, 1e-9);
  EXPECT_NEAR(RecallAt(10, ranked, judgements), 2.0 / 3, 1e-12);
  EXPECT_NEAR(RecallAt(2, ranked, judgements), 1.0 / 3, 1e-12);
  EXPECT_EQ(ReciprocalRankAt(10, ranked, judgements), 0.5);
  EXPECT_EQ(ReciprocalRankAt(1, ranked, judgements), 0.0);
  EXPECT_NEAR(AveragePrecision(ranked, judgements), (1.0 / 2 + 2.0 / 4) / 3, 1e-12);
}

TEST(RankingMetrics, IdealCountsRelevantDocumentsThatWereNotRetrieved) {
  EXPECT_NEAR(NdcgAt(10, {1}, Judgements({{1, 1}, {2, 1}})), 1 / (1 + 1 / std::log2(3.0)), 1e-12);
}

TEST(RankingMetrics, AreZeroWithoutAPositiveJudgement) {
  const Judgements nothing(std::vector<JudgedDocument>{{1, 0}});
  EXPECT_EQ(nothing.relevant_count(), 0u);
  EXPECT_EQ(NdcgAt(10, {1}, nothing), 0);
  EXPECT_EQ(RecallAt(10, {1}, nothing), 0);
  EXPECT_EQ(ReciprocalRankAt(10, {1}, nothing), 0);
  EXPECT_EQ(AveragePrecision({1}, nothing), 0);
  EXPECT_EQ(NdcgAt(10, {}, Judgements({{1, 1}})), 0);
}

TEST(RankingMetrics, LastGradeOfARepeatedKeyCounts) {
  const Judgements judgements({{1, 3}, {2, 1}, {1, 0}});
  EXPECT_EQ(judgements.GradeOf(1), 0);
  EXPECT_EQ(judgements.relevant_count(), 1u);
  EXPECT_EQ(judgements.documents().size(), 2u);
}

}  // namespace
}  // namespace trivium::routing
