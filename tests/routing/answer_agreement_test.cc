// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/answer_agreement.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

using Answers = std::vector<std::vector<std::uint64_t>>;

std::vector<float> Agreement(const Answers& answers) {
  std::vector<float> agreement(answers.size(), -7.0f);
  MeasureAgreement(answers, absl::MakeSpan(agreement));
  return agreement;
}

// Up to 10 documents out of 15 for each expert, best first.
Answers RandomAnswers(std::size_t expert_count, base::Random* random) {
  Answers answers(expert_count);
  for (auto& answer : answers) {
    std::vector<std::uint64_t> documents(15);
    for (std::size_t i = 0; i < documents.size(); ++i) documents[i] = 1'000'000'007 * (i + 1);
    random->Shuffle(documents);
    answer.assign(documents.begin(), documents.begin() + static_cast<long>(11 * random->Uniform()));
  }
  return answers;
}

double SquaredDistance(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::map<std::uint64_t, double> difference;
  const auto add = [&](const std::vector<std::uint64_t>& answer, double sign) {
    double squares = 0;
    for (std::size_t r = 1; r <= answer.size(); ++r) squares += std::pow(std::log2(1.0 + r), -2);
    for (std::size_t r = 1; r <= answer.size(); ++r) {
      difference[answer[r - 1]] += sign / std::log2(1.0 + r) / std::sqrt(squares);
    }
  };
  add(a, 1);
  add(b, -1);
  double squared = 0;
  for (const auto& [document, each] : difference) squared += each * each;
  return squared;
}

// The definition in the header, pair by pair.
std::vector<double> SlowAgreement(const Answers& answers) {
  std::vector<double> agreement;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    double sum = 0, pairs = 0;
    for (std::size_t j = 0; j < answers.size(); ++j) {
      for (std::size_t k = 0; k < j; ++k) {
        if (i == j || i == k || answers[i].empty() || answers[j].empty() || answers[k].empty()) continue;
        sum += (SquaredDistance(answers[i], answers[j]) + SquaredDistance(answers[i], answers[k]) -
                SquaredDistance(answers[j], answers[k])) /
               2;
        ++pairs;
      }
    }
    agreement.push_back(1 - sum / pairs / 2);
  }
  return agreement;
}

TEST(MeasureAgreement, IsTheTripletEstimateOfSmoothie) {
  base::Random random(3);
  for (std::size_t expert_count : {3, 4, 7, 20}) {
    for (int round = 0; round < 20; ++round) {
      const Answers answers = RandomAnswers(expert_count, &random);
      const std::vector<float> agreement = Agreement(answers);
      const std::vector<double> expected = SlowAgreement(answers);
      for (std::size_t e = 0; e < expert_count; ++e) {
        EXPECT_EQ(std::isnan(agreement[e]), std::isnan(expected[e])) << e;
        if (!std::isnan(expected[e])) {
          EXPECT_NEAR(agreement[e], expected[e], 1e-5) << e;
        }
      }
    }
  }
}

TEST(MeasureAgreement, TellsTheOddOneOut) {
  EXPECT_EQ(Agreement({{1, 2, 3}, {1, 2, 3}, {1, 2, 3}, {1, 2, 3}}), (std::vector<float>{1, 1, 1, 1}));
  EXPECT_EQ(Agreement({{1, 2, 3}, {1, 2, 3}, {4, 5, 6}}), (std::vector<float>{1, 1, 0}));
  const std::vector<float> ranked = Agreement({{1, 2, 3}, {1, 3, 2}, {3, 2, 1}});
  EXPECT_GT(ranked[1], ranked[0]);  // between the others
  EXPECT_GT(ranked[0], ranked[2]);
}

TEST(MeasureAgreement, NeedsThreeAnswers) {
  for (const float each : Agreement({{1}, {2}})) EXPECT_TRUE(std::isnan(each));
  for (const float each : Agreement({{1}, {}, {2}, {}})) EXPECT_TRUE(std::isnan(each));
  const std::vector<float> one_silent = Agreement({{1}, {}, {1}, {2}});
  EXPECT_EQ(one_silent[0], 1);
  EXPECT_TRUE(std::isnan(one_silent[1]));
  EXPECT_EQ(one_silent[3], 0);
  EXPECT_TRUE(Agreement({}).empty());
}

}  // namespace
}  // namespace trivium::routing
