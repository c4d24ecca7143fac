// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/calibration_error.h"

#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace trivium::routing {
namespace {

TEST(CalibrationError, GivesTheFigureComputedByHand) {
  // Two bins of three: mean 0.2 against 1/3, mean 0.8 against 2/3.
  const std::vector<Forecast> forecasts = {{0.9, true}, {0.1, false}, {0.2, false},
                                           {0.7, true}, {0.3, true},  {0.8, false}};
  EXPECT_NEAR(CalibrationError(forecasts, 2), (std::abs(0.2 - 1.0 / 3) + std::abs(0.8 - 2.0 / 3)) / 2, 1e-12);
}

TEST(CalibrationError, OneBinComparesTheMeans) {
  const std::vector<Forecast> forecasts = {{0.5, true}, {0.9, true}, {0.1, false}, {0.5, true}};
  EXPECT_NEAR(CalibrationError(forecasts, 1), 0.25, 1e-12);
}

TEST(CalibrationError, EqualProbabilitiesShareABin) {
  // Dealt into bins of one they would cost 1/2 each; together they are perfectly calibrated.
  const std::vector<Forecast> forecasts = {{0.5, true}, {0.5, false}, {0.5, true}, {0.5, false}};
  EXPECT_NEAR(CalibrationError(forecasts, 4), 0, 1e-12);
}

TEST(CalibrationError, IsSmallForAnHonestForecasterAndLargeForABoastfulOne) {
  base::Random random(4);
  std::vector<Forecast> honest, boastful;
  for (int i = 0; i < 20000; ++i) {
    const double probability = random.Uniform();
    const bool happened = random.Uniform() < probability;
    honest.push_back({probability, happened});
    boastful.push_back({1 - (1 - probability) / 2, happened});
  }
  EXPECT_LT(CalibrationError(honest, 15), 0.02);
  EXPECT_NEAR(CalibrationError(boastful, 15), 0.25, 0.02);
}

TEST(CalibrationError, CountsEveryForecastWhenThereAreMoreBinsThanForecasts) {
  EXPECT_NEAR(CalibrationError({{0.25, false}, {0.5, true}}, 15), (0.25 + 0.5) / 2, 1e-12);
  EXPECT_TRUE(std::isnan(CalibrationError({}, 15)));
}

}  // namespace
}  // namespace trivium::routing
