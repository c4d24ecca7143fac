// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"
#include "kernels/rotation_kernel.h"
#include "tests/kernels/every_table.h"
#include "tests/support/slow_distances.h"

namespace trivium::kernels {
namespace {

using testing_support::GuardedArray;

constexpr std::size_t kDimensions[] = {64, 128, 192, 256, 320, 384, 448, 512, 768, 1024};

class Rotation : public EveryTable {};
INSTANTIATE_TEST_SUITE_P(Kernels, Rotation, ::testing::ValuesIn(RunnableTables()), TableName);

// The transform by its definition, over values[first], ..., values[first + window - 1].
void SlowHadamard(std::vector<double>* values, std::size_t first, std::size_t window) {
  std::vector<double> result(window, 0.0);
  for (std::size_t i = 0; i < window; ++i) {
    for (std::size_t j = 0; j < window; ++j) {
      result[i] += (std::popcount(i & j) % 2 == 0 ? 1 : -1) * (*values)[first + j];
    }
  }
  std::copy(result.begin(), result.end(), values->begin() + static_cast<std::ptrdiff_t>(first));
}

std::vector<double> SlowRotate(const std::vector<float>& multipliers, std::vector<double> values) {
  const std::size_t dimension = values.size(), window = std::bit_floor(dimension), half = dimension / 2;
  for (std::size_t round = 0; round <= kRotationRounds; ++round) {
    for (std::size_t i = 0; i < dimension; ++i) values[i] *= multipliers[round * dimension + i];
    if (round == kRotationRounds) break;
    SlowHadamard(&values, round % 2 == 0 ? 0 : dimension - window, window);
    for (std::size_t i = 0; window < dimension && i < half; ++i) {
      const double a = values[i], b = values[i + half];
      values[i] = a + b;
      values[i + half] = a - b;
    }
  }
  return values;
}

// Signs scaled so that values keep about their size.
std::vector<float> Multipliers(std::size_t dimension, base::Random* random) {
  const double scale = 1 / std::sqrt(static_cast<double>(std::bit_floor(dimension)));
  std::vector<float> multipliers((kRotationRounds + 1) * dimension);
  for (float& m : multipliers) m = static_cast<float>(random->Below(2) == 0 ? scale : -scale);
  return multipliers;
}

TEST_P(Rotation, IsSignFlipsHadamardTransformsAndKacStepsInTurn) {
  base::Random random(1);
  for (const std::size_t dimension : kDimensions) {
    const std::vector<float> multipliers = Multipliers(dimension, &random);
    GuardedArray<float> values(dimension);
    std::vector<double> expected;
    double squares = 0;
    for (std::size_t i = 0; i < dimension; ++i) {
      values.Set(i, static_cast<float>(random.Normal()));
      expected.push_back(values.Get(i));
    }
    expected = SlowRotate(multipliers, expected);
    for (const double value : expected) squares += value * value;
    table().rotate(multipliers.data(), dimension, values.data());
    for (std::size_t i = 0; i < dimension; ++i) {
      ASSERT_NEAR(values.Get(i), expected[i], 2e-6 * std::sqrt(squares)) << dimension << " at " << i;
    }
  }
}

TEST_P(Rotation, HasTheSameBitsAsOnTheBaseline) {
  base::Random random(2);
  for (const std::size_t dimension : kDimensions) {
    const std::vector<float> multipliers = Multipliers(dimension, &random);
    for (int repeat = 0; repeat < 5; ++repeat) {
      std::vector<float> values(dimension);
      for (float& value : values) value = static_cast<float>(random.Normal() * std::pow(10, repeat - 2));
      std::vector<float> baseline = values;
      table().rotate(multipliers.data(), dimension, values.data());
      kBaselineDistances.rotate(multipliers.data(), dimension, baseline.data());
      ASSERT_EQ(std::memcmp(values.data(), baseline.data(), dimension * sizeof(float)), 0) << dimension;
    }
  }
}

}  // namespace
}  // namespace trivium::kernels
