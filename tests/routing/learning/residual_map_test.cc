// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/residual_map.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kDimension = 9;

class ResidualMapTest : public ::testing::Test {
 protected:
  ContrastiveBatch Batch() { return {queries_.view(), documents_.view(), positives_, {}, 0.1f}; }
  double Loss(const base::AlignedMatrix& matrix) {
    base::AlignedMatrix ignored(kDimension, kDimension);
    return MappedLoss(matrix, Batch(), &ignored);
  }

  base::AlignedMatrix queries_ = testing_support::ClusteredVectors(12, kDimension, base::Metric::kCosine, 3);
  base::AlignedMatrix documents_ =
      testing_support::ClusteredVectors(30, kDimension, base::Metric::kCosine, 4);
  std::vector<std::uint32_t> positives_ = {29, 3, 5, 7, 9, 0, 2, 4, 6, 8, 10, 12};
};

TEST_F(ResidualMapTest, StartAtTheIdentityWhateverTheRank) {
  for (std::size_t rank : {0u, 1u, 4u}) {
    const ResidualMap weights(kDimension, rank, 0.01, 5);
    for (std::size_t i = 0; i < kDimension; ++i) {
      for (std::size_t j = 0; j < kDimension; ++j) EXPECT_EQ(weights.matrix().row(i)[j], i == j ? 1 : 0);
    }
  }
}

TEST_F(ResidualMapTest, GradientByTheMatrixIsThatOfFiniteDifferences) {
  base::AlignedMatrix matrix =
      testing_support::ClusteredVectors(kDimension, kDimension, base::Metric::kCosine, 5);
  base::AlignedMatrix gradient(kDimension, kDimension);
  MappedLoss(matrix, Batch(), &gradient);
  for (std::size_t i = 0; i < kDimension; ++i) {
    for (std::size_t j = 0; j < kDimension; ++j) {
      float& value = matrix.row(i)[j];
      const float kept = value, up = kept + 5e-3f, down = kept - 5e-3f;
      value = up;
      const double above = Loss(matrix);
      value = down;
      const double below = Loss(matrix);
      value = kept;
      EXPECT_NEAR(gradient.row(i)[j], (above - below) / (double(up) - down), 3e-3) << i << ", " << j;
    }
  }
}

TEST_F(ResidualMapTest, StepsAgainstTheGradientLowerTheLossWithEveryRank) {
  for (std::size_t rank : {0u, 2u}) {
    ResidualMap weights(kDimension, rank, 0.02, 6);
    const double before = Loss(weights.matrix());
    for (int step = 0; step < 60; ++step) {
      base::AlignedMatrix gradient(kDimension, kDimension);
      MappedLoss(weights.matrix(), Batch(), &gradient);
      weights.Descend(gradient);
    }
    EXPECT_LT(Loss(weights.matrix()), 0.8 * before) << rank;
  }
}

// The residual of a matrix of rank r times r + 1 vectors: their Gram determinant is that of dependent
// vectors.
TEST_F(ResidualMapTest, ResidualHasTheRankAskedFor) {
  ResidualMap weights(kDimension, 1, 0.02, 7);
  for (int step = 0; step < 20; ++step) {
    base::AlignedMatrix gradient(kDimension, kDimension);
    MappedLoss(weights.matrix(), Batch(), &gradient);
    weights.Descend(gradient);
  }
  const auto residual = [&](std::size_t i, std::size_t j) {
    return double(weights.matrix().row(i)[j]) - (i == j ? 1 : 0);
  };
  double largest = 0;
  for (std::size_t i = 0; i + 1 < kDimension; ++i) {
    for (std::size_t j = 0; j + 1 < kDimension; ++j) {
      largest = std::max(largest, std::abs(residual(i, j)));
      EXPECT_NEAR(residual(i, j) * residual(i + 1, j + 1), residual(i, j + 1) * residual(i + 1, j), 1e-5);
    }
  }
  EXPECT_GT(largest, 0.02);  // so that the products above would show a second dimension
}

TEST_F(ResidualMapTest, AdaptedRowsAreUnitVectorsAndZeroStaysZero) {
  base::AlignedMatrix matrix(kDimension, kDimension);
  for (std::size_t i = 0; i < kDimension; ++i) matrix.row(i)[i] = i == 0 ? 0.0f : 3.0f;
  base::AlignedMatrix rows(2, kDimension), adapted;
  rows.row(0)[0] = 0.6f, rows.row(0)[1] = 0.8f;
  rows.row(1)[0] = 1.0f;
  std::vector<float> norms(2);
  MapToUnitRows(matrix, rows.view(), &adapted, norms.data());
  EXPECT_NEAR(norms[0], 2.4, 1e-6);
  EXPECT_NEAR(adapted.row(0)[1], 1, 1e-6);
  EXPECT_EQ(norms[1], 0);
  EXPECT_EQ(adapted.row(1)[0], 0);
}

}  // namespace
}  // namespace trivium::routing
