// SPDX-License-Identifier: Apache-2.0
#include "index/beam_calibration.h"

#include <gtest/gtest.h>

#include <vector>

namespace trivium::index {
namespace {

TEST(BeamCalibration, TakesTheNarrowestWidthThatReachesTheTarget) {
  for (const std::size_t needed : kBeamWidths) {
    for (const std::size_t narrowest : {1u, 10u, 11u, 100u, 1024u, 5000u}) {
      std::size_t measured = 0;
      const auto recall_at = [&](std::size_t width) {
        ++measured;
        return width >= needed ? 0.96 : 0.94;
      };
      std::size_t expected = kBeamWidths.back();
      for (const std::size_t width : kBeamWidths) {
        if (width >= needed && width >= narrowest && width < expected) expected = width;
      }
      const BeamCalibration chosen = CalibrateBeam(0.95, narrowest, recall_at);
      EXPECT_EQ(chosen.beam_width, expected) << needed << " " << narrowest;
      EXPECT_EQ(chosen.recall, 0.96);
      EXPECT_TRUE(chosen.reached);
      EXPECT_LE(measured, 6u);
    }
  }
}

TEST(BeamCalibration, TakesTheWidestWhereNoneReachesTheTarget) {
  const BeamCalibration chosen = CalibrateBeam(0.95, 10, [](std::size_t) { return 0.9; });
  EXPECT_EQ(chosen.beam_width, 1024u);
  EXPECT_EQ(chosen.recall, 0.9);
  EXPECT_FALSE(chosen.reached);
}

TEST(BeamCalibration, ARecallEqualToTheTargetReachesIt) {
  EXPECT_TRUE(CalibrateBeam(0.95, 10, [](std::size_t) { return 0.95; }).reached);
  EXPECT_TRUE(CalibrateBeam(1.0, 10, [](std::size_t) { return 1.0; }).reached);
}

TEST(SampleRecall, CountsHitsAsNearAsTheLastTrueOne) {
  const std::vector<std::vector<float>> truth = {{5, 4, 3, 3}, {-1}, {}};
  // One of equals replaced by another; one missing; one wrong; nothing to find.
  const std::vector<std::vector<float>> found = {{5, 3, 3, 2}, {-2}, {}};
  std::vector<std::size_t> widths;
  const SampleRecall recall(3, [&](std::size_t width, const SampleRecall::Take& take) {
    widths.push_back(width);
    for (std::size_t i = 0; i < 3; ++i) take(i, width == 0 || width == 99 ? truth[i] : found[i]);
  });
  EXPECT_DOUBLE_EQ(recall.At(7), 3.0 / 5);
  EXPECT_DOUBLE_EQ(recall.At(99), 1.0);
  EXPECT_EQ(widths, (std::vector<std::size_t>{0, 7, 99}));
}

TEST(SampleRecall, IsOneWhereThereIsNothingToFind) {
  const SampleRecall recall(2, [](std::size_t, const SampleRecall::Take& take) { take(1, {}); });
  EXPECT_EQ(recall.At(10), 1.0);
}

}  // namespace
}  // namespace trivium::index
