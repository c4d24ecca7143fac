// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/contrastive_loss.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::routing {
namespace {

using Pairs = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

// The formula, one term after the other.
double SlowLoss(const ContrastiveBatch& batch) {
  double total = 0;
  for (std::uint32_t q = 0; q < batch.queries.rows; ++q) {
    double sum = 0, own = 0;
    for (std::uint32_t c = 0; c < batch.candidates.rows; ++c) {
      if (std::find(batch.ignored.begin(), batch.ignored.end(), std::pair(q, c)) != batch.ignored.end()) {
        continue;
      }
      double score = 0;
      for (std::size_t j = 0; j < batch.queries.columns; ++j) {
        score += double(batch.queries.row(q)[j]) * batch.candidates.row(c)[j];
      }
      const double share = std::exp(score / batch.temperature);
      sum += share;
      if (c == batch.positives[q]) own = share;
    }
    total -= std::log(own / sum);
  }
  return total / static_cast<double>(batch.queries.rows);
}

class ContrastiveLossTest : public ::testing::Test {
 protected:
  ContrastiveBatch Batch() { return {queries_.view(), candidates_.view(), positives_, ignored_, 0.2f}; }

  base::AlignedMatrix queries_ = testing_support::ClusteredVectors(7, 11, base::Metric::kCosine, 1);
  base::AlignedMatrix candidates_ = testing_support::ClusteredVectors(19, 11, base::Metric::kCosine, 2);
  std::vector<std::uint32_t> positives_ = {0, 3, 3, 18, 7, 8, 9};
  Pairs ignored_ = {{0, 1}, {1, 0}, {4, 18}};
};

TEST_F(ContrastiveLossTest, EqualsTheFormulaAndLeavesIgnoredPairsOut) {
  base::AlignedMatrix gradient;
  const double loss = ContrastiveLoss(Batch(), &gradient);
  EXPECT_NEAR(loss, SlowLoss(Batch()), 1e-5);
  ignored_.clear();
  EXPECT_GT(ContrastiveLoss(Batch(), &gradient), loss);
}

TEST_F(ContrastiveLossTest, GradientIsThatOfFiniteDifferences) {
  base::AlignedMatrix gradient;
  ContrastiveLoss(Batch(), &gradient);
  for (std::size_t q = 0; q < queries_.rows(); ++q) {
    for (std::size_t j = 0; j < queries_.columns(); ++j) {
      float& value = queries_.row(q)[j];
      const float kept = value, up = kept + 1e-2f, down = kept - 1e-2f;
      value = up;
      const double above = SlowLoss(Batch());
      value = down;
      const double below = SlowLoss(Batch());
      value = kept;
      EXPECT_NEAR(gradient.row(q)[j], (above - below) / (double(up) - down), 2e-4) << q << ", " << j;
    }
  }
}

TEST_F(ContrastiveLossTest, LargeScoresStayFinite) {
  for (std::size_t i = 0; i < queries_.rows(); ++i) {
    for (std::size_t j = 0; j < queries_.columns(); ++j) queries_.row(i)[j] *= 1e4f;
  }
  base::AlignedMatrix gradient;
  EXPECT_TRUE(std::isfinite(ContrastiveLoss(Batch(), &gradient)));
  for (std::size_t i = 0; i < gradient.rows(); ++i) {
    for (std::size_t j = 0; j < gradient.columns(); ++j) EXPECT_TRUE(std::isfinite(gradient.row(i)[j]));
  }
}

}  // namespace
}  // namespace trivium::routing
