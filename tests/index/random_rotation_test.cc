// SPDX-License-Identifier: Apache-2.0
#include "index/random_rotation.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "tests/support/random_vectors.h"

namespace trivium::index {
namespace {

using testing_support::ClusteredVectors;

constexpr std::size_t kDimensions[] = {64, 65, 100, 128, 384, 448, 500, 512, 768, 1536};

std::vector<float> Rotated(const RandomRotation& rotation, const float* vector) {
  std::vector<float> rotated(rotation.padded_dimension());
  rotation.Apply(vector, rotated.data());
  return rotated;
}

double Product(const float* a, const float* b, std::size_t dimension) {
  double product = 0;
  for (std::size_t i = 0; i < dimension; ++i) product += double{a[i]} * b[i];
  return product;
}

TEST(RandomRotation, PadsToTheNextMultipleOf64) {
  for (const auto& [dimension, padded] : {std::pair<std::size_t, std::size_t>{1, 64},
                                          {64, 64},
                                          {65, 128},
                                          {100, 128},
                                          {384, 384},
                                          {385, 448}}) {
    const RandomRotation rotation(dimension, 1);
    EXPECT_EQ(rotation.dimension(), dimension);
    EXPECT_EQ(rotation.padded_dimension(), padded);
  }
}

TEST(RandomRotation, KeepsLengthsAndInnerProducts) {
  for (const std::size_t dimension : kDimensions) {
    const RandomRotation rotation(dimension, 1);
    const auto vectors = ClusteredVectors(12, dimension, base::Metric::kSquaredL2, 1, 3);
    std::vector<std::vector<float>> rotated;
    for (std::size_t i = 0; i < vectors.rows(); ++i) rotated.push_back(Rotated(rotation, vectors.row(i)));
    for (std::size_t i = 0; i < vectors.rows(); ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const double lengths = std::sqrt(Product(vectors.row(i), vectors.row(i), dimension) *
                                         Product(vectors.row(j), vectors.row(j), dimension));
        EXPECT_NEAR(Product(rotated[i].data(), rotated[j].data(), rotation.padded_dimension()),
                    Product(vectors.row(i), vectors.row(j), dimension), 1e-5 * lengths)
            << dimension;
      }
    }
  }
}

// Of a random direction a coordinate is larger than five standard deviations once in two million times.
TEST(RandomRotation, SpreadsAUnitVectorEvenly) {
  for (const std::size_t dimension : kDimensions) {
    const RandomRotation rotation(dimension, 1);
    const double deviation = 1 / std::sqrt(static_cast<double>(rotation.padded_dimension()));
    for (const std::size_t axis : {std::size_t{0}, dimension / 3, dimension / 2, dimension - 1}) {
      std::vector<float> unit(dimension, 0.0f);
      unit[axis] = 1;
      double largest = 0, absolute = 0;
      for (const float value : Rotated(rotation, unit.data())) {
        largest = std::max(largest, std::abs(double{value}));
        absolute += std::abs(value);
      }
      EXPECT_LT(largest, 5.2 * deviation) << dimension << " axis " << axis;
      // sqrt(2 / pi) of a normal distribution.
      EXPECT_NEAR(absolute * deviation, 0.798, 0.09) << dimension << " axis " << axis;
    }
  }
}

TEST(RandomRotation, IsAFunctionOfItsSeed) {
  const auto vector = ClusteredVectors(1, 384, base::Metric::kCosine, 1, 1);
  const auto first = Rotated(RandomRotation(384, 5), vector.row(0));
  EXPECT_EQ(first, Rotated(RandomRotation(384, 5), vector.row(0)));
  const auto other = Rotated(RandomRotation(384, 6), vector.row(0));
  EXPECT_LT(std::abs(Product(first.data(), other.data(), 384)), 0.3);
}

// Files hold rotated rows: another rotation would make them worthless. Powers of two have no rounding, so
// this is so on every instruction set.
TEST(RandomRotation, IsTheOneThatFilesWereWrittenWith) {
  const RandomRotation rotation(64, 0x7269766975);
  std::vector<float> unit(64, 0.0f);
  unit[3] = 1;
  const auto rotated = Rotated(rotation, unit.data());
  std::uint64_t hash = 0;
  for (const float value : rotated) {
    EXPECT_EQ(value * 4096, std::round(value * 4096));
    hash = hash * 1099511628211u + static_cast<std::uint64_t>(static_cast<std::int64_t>(value * 4096));
  }
  EXPECT_EQ(hash, 6250740790979526144u);
}

}  // namespace
}  // namespace trivium::index
