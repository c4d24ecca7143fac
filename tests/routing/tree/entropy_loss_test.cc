// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/entropy_loss.h"

#include <cmath>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kRows = 5, kLevel = 3, kNodes = 16;

base::AlignedMatrix RandomRows() {
  base::AlignedMatrix rows(kRows, kNodes);
  base::Random random(1);
  for (std::size_t i = 0; i < kRows; ++i) {
    double sum = 0;
    for (std::size_t j = 8; j < 16; ++j) sum += rows.row(i)[j] = static_cast<float>(0.05 + random.Uniform());
    for (std::size_t j = 8; j < 16; ++j) rows.row(i)[j] /= static_cast<float>(sum);
  }
  return rows;
}

TEST(EntropyLossTest, IsOneForEvenRowsAndZeroForRowsInOneNode) {
  base::AlignedMatrix even(kRows, kNodes), sharp(kRows, kNodes), gradient(kRows, kNodes);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (std::size_t j = 8; j < 16; ++j) even.row(i)[j] = 1.0f / 8;
    sharp.row(i)[8 + i] = 1;
  }
  EXPECT_NEAR(EntropyLoss(even, 0, kLevel, 1, 0, &gradient), 1, 1e-6);
  EXPECT_NEAR(EntropyLoss(even, 0, kLevel, 0, 1, &gradient), -1, 1e-6);
  EXPECT_NEAR(EntropyLoss(sharp, 0, kLevel, 1, 0, &gradient), 0, 1e-6);
  EXPECT_NEAR(EntropyLoss(sharp, 0, kLevel, 0, 1, &gradient), -std::log(5.0) / std::log(8.0), 1e-6);
}

TEST(EntropyLossTest, GradientIsThatOfFiniteDifferencesFromTheFirstRowOn) {
  for (const std::size_t first : {0u, 2u}) {
    base::AlignedMatrix rows = RandomRows(), gradient(kRows, kNodes), ignored(kRows, kNodes);
    EntropyLoss(rows, first, kLevel, 0.7, 0.4, &gradient);
    for (std::size_t i = 0; i < kRows; ++i) {
      for (std::size_t j = 0; j < kNodes; ++j) {
        const float kept = rows.row(i)[j], up = kept + 1e-3f, down = kept - 1e-3f;
        rows.row(i)[j] = up;
        const double above = EntropyLoss(rows, first, kLevel, 0.7, 0.4, &ignored);
        rows.row(i)[j] = down;
        const double below = EntropyLoss(rows, first, kLevel, 0.7, 0.4, &ignored);
        rows.row(i)[j] = kept;
        EXPECT_NEAR(gradient.row(i)[j], j < 8 ? 0 : (above - below) / (double(up) - down), 2e-4)
            << i << " " << j;
      }
    }
  }
}

}  // namespace
}  // namespace trivium::routing
