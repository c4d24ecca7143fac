// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/moments_router.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using testing_support::RandomUnitVector;

constexpr std::size_t kDimension = 13;

std::vector<float> Predict(const MomentsRouter& router, const std::vector<float>& query) {
  RouterScratch scratch;
  std::vector<float> utility(router.expert_count()), uncertainty(router.expert_count());
  router.Predict(query, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
  return utility;
}

// Sets of 1 to 2,000 vectors anywhere, each searched by one expert.
ExpertFacts RandomFacts(std::size_t set_count, base::Random* random) {
  ExpertFacts facts;
  facts.dimension = kDimension;
  facts.experts.resize(set_count);
  for (std::uint32_t s = 0; s < set_count; ++s) {
    VectorMoments moments;
    moments.count = std::floor(std::exp(7.6 * random->Uniform()));
    for (std::size_t c = 0; c < kDimension; ++c) {
      moments.mean.push_back(static_cast<float>(0.2 * random->Normal()));
      moments.variance.push_back(static_cast<float>(0.1 * random->Uniform()));
    }
    facts.sets.push_back(std::move(moments));
    facts.experts[s].sets = {s};
  }
  return facts;
}

// The definition in the header, with a plain bisection over all sets.
std::vector<double> SlowShares(const ExpertFacts& facts, double depth, const std::vector<float>& query) {
  double total = 0;
  for (const VectorMoments& set : facts.sets) total += set.count;
  depth = std::min(depth, total / 2);
  const auto above = [&](double threshold) {
    std::vector<double> expected;
    for (const VectorMoments& set : facts.sets) {
      double score = 0, variance = 0;
      for (std::size_t c = 0; c < kDimension; ++c) {
        score += double{query[c]} * set.mean[c];
        variance += double{query[c]} * query[c] * set.variance[c];
      }
      expected.push_back(set.count * 0.5 * std::erfc((threshold - score) / std::sqrt(2 * variance)));
    }
    return expected;
  };
  double low = -100, high = 100;
  std::vector<double> expected;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    expected = above(middle);
    (std::accumulate(expected.begin(), expected.end(), 0.0) > depth ? low : high) = middle;
  }
  const double sum = std::accumulate(expected.begin(), expected.end(), 0.0);
  for (double& share : expected) share /= sum;
  return expected;
}

TEST(MomentsRouter, AgreesWithTheSlowDefinition) {
  base::Random random(5);
  for (std::size_t set_count : {1, 2, 9, 60}) {
    for (float depth : {1.0f, 10.0f, 300.0f, 1e6f}) {
      const ExpertFacts facts = RandomFacts(set_count, &random);
      MomentsRouter router;
      ASSERT_OK(router.TrainLabelFree(facts, {.depth = depth}));
      for (int q = 0; q < 20; ++q) {
        const std::vector<float> query = RandomUnitVector(kDimension, &random);
        const std::vector<float> shares = Predict(router, query);
        const std::vector<double> expected = SlowShares(facts, depth, query);
        for (std::size_t e = 0; e < set_count; ++e) {
          EXPECT_NEAR(shares[e], expected[e], 2e-3) << set_count << " sets, depth " << depth;
        }
      }
    }
  }
}

// Where scores are normal indeed, the shares are those of the best vectors themselves.
TEST(MomentsRouter, ForeseesWhereTheBestVectorsLie) {
  base::Random random(6);
  constexpr std::size_t kExperts = 5, kVectors = 4000, kDepth = 100;
  ExpertFacts facts;
  facts.dimension = kDimension;
  std::vector<std::vector<float>> rows[kExperts];
  for (std::uint32_t e = 0; e < kExperts; ++e) {
    MomentSums sums(kDimension);
    const std::vector<float> center = RandomUnitVector(kDimension, &random);
    for (std::size_t i = 0; i < kVectors; ++i) {
      std::vector<float> row(kDimension);
      for (std::size_t c = 0; c < kDimension; ++c) {
        row[c] = 0.2f * center[c] + static_cast<float>((0.1 + 0.02 * e) * random.Normal());
      }
      sums.Add(row.data());
      rows[e].push_back(row);
    }
    facts.sets.push_back(sums.Finish(kVectors));
    facts.experts.push_back({.sets = {e}});
  }
  MomentsRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {.depth = kDepth}));
  double error = 0;
  constexpr int kQueries = 20;
  for (int q = 0; q < kQueries; ++q) {
    const std::vector<float> query = RandomUnitVector(kDimension, &random);
    std::vector<std::pair<double, std::size_t>> scores;
    for (std::size_t e = 0; e < kExperts; ++e) {
      for (const std::vector<float>& row : rows[e]) {
        scores.push_back({-std::inner_product(row.begin(), row.end(), query.begin(), 0.0), e});
      }
    }
    std::nth_element(scores.begin(), scores.begin() + kDepth, scores.end());
    std::vector<double> found(kExperts, 0.0);
    for (std::size_t i = 0; i < kDepth; ++i) found[scores[i].second] += 1.0 / kDepth;
    const std::vector<float> shares = Predict(router, query);
    for (std::size_t e = 0; e < kExperts; ++e)
      error += std::abs(shares[e] - found[e]) / (kQueries * kExperts);
  }
  EXPECT_LT(error, 0.04);  // about what a count of 100 varies by
}

TEST(MomentsRouter, AnExpertOfSeveralSetsHasTheSharesOfAll) {
  base::Random random(7);
  ExpertFacts facts = RandomFacts(4, &random);
  facts.experts.push_back({.sets = {0, 2}});
  facts.experts.push_back({.sets = {0, 1, 2, 3}});
  facts.experts.push_back({});
  MomentsRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {}));
  const std::vector<float> shares = Predict(router, RandomUnitVector(kDimension, &random));
  EXPECT_NEAR(shares[4], shares[0] + shares[2], 1e-5);
  EXPECT_NEAR(shares[5], 1, 1e-5);
  EXPECT_TRUE(std::isnan(shares[6]));
}

TEST(MomentsRouter, ARemovedExpertKeepsItsShare) {
  base::Random random(8);
  MomentsRouter router;
  ASSERT_OK(router.TrainLabelFree(RandomFacts(3, &random), {}));
  const std::vector<float> query = RandomUnitVector(kDimension, &random);
  const std::vector<float> before = Predict(router, query);
  router.RemoveExpert(1);
  EXPECT_EQ(Predict(router, query), (std::vector<float>{before[0], before[2]}));
  MomentsRouter read;
  ASSERT_OK(read.Load(router.Save()));
  EXPECT_EQ(Predict(read, query), Predict(router, query));
}

// One vector has no variance, two alike have none either.
TEST(MomentsRouter, ReadsSetsWithoutVariance) {
  ExpertFacts facts;
  facts.dimension = 2;
  MomentSums one(2), two(2);
  const float right[] = {1, 0}, up[] = {0, 1};
  one.Add(right);
  two.Add(up);
  two.Add(up);
  facts.sets = {one.Finish(1), two.Finish(2)};
  facts.experts.push_back({.sets = {0}});
  facts.experts.push_back({.sets = {1}});
  MomentsRouter router;
  ASSERT_OK(router.TrainLabelFree(facts, {}));
  EXPECT_GT(Predict(router, {1, 0})[0], 0.6f);
  EXPECT_GT(Predict(router, {0, 1})[1], 0.9f);
}

TEST(MomentsRouter, SaysWhatItLacks) {
  MomentsRouter router;
  ExpertFacts facts;
  facts.experts.resize(3);
  EXPECT_THAT(router.TrainLabelFree(facts, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("no expert's vectors")));
}

TEST(MomentSums, AreThoseOfTheRows) {
  base::Random random(9);
  MomentSums sums(3);
  std::vector<std::vector<double>> columns(3);
  for (int i = 0; i < 50; ++i) {
    float row[3];
    for (int c = 0; c < 3; ++c) columns[c].push_back(row[c] = static_cast<float>(2 + random.Normal()));
    sums.Add(row);
  }
  const VectorMoments moments = sums.Finish(500);
  EXPECT_EQ(moments.count, 500);
  for (int c = 0; c < 3; ++c) {
    const double mean = std::accumulate(columns[c].begin(), columns[c].end(), 0.0) / 50;
    double variance = 0;
    for (double x : columns[c]) variance += (x - mean) * (x - mean) / 50;
    EXPECT_NEAR(moments.mean[c], mean, 1e-5);
    EXPECT_NEAR(moments.variance[c], variance, 1e-5);
  }
}

}  // namespace
}  // namespace trivium::routing
