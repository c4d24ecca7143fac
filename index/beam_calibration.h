// SPDX-License-Identifier: Apache-2.0
// Which beam width reaches a recall.
#pragma once

#include <array>
#include <cstddef>
#include <functional>

namespace trivium::index {

struct BeamCalibration {
  std::size_t beam_width = 0;
  double recall = 0;     // at that width
  bool reached = false;  // whether it is at least the target
};

// The widths that are tried, about a fifth apart.
inline constexpr std::array<std::size_t, 20> kBeamWidths = {10, 12,  16,  20,  24,  32,  40,  48,  64,  80,
                                                            96, 128, 160, 192, 256, 320, 384, 512, 768, 1024};

// The narrowest of kBeamWidths, at least `k`, with recall_at(width) >= target, or the widest where none has.
// Recall is taken to rise with the width, so five widths are measured.
inline BeamCalibration CalibrateBeam(double target, std::size_t k,
                                     const std::function<double(std::size_t width)>& recall_at) {
  std::size_t low = 0;
  while (low + 1 < kBeamWidths.size() && kBeamWidths[low] < k) ++low;
  std::size_t high = kBeamWidths.size() - 1;
  BeamCalibration best{kBeamWidths[high], recall_at(kBeamWidths[high]), false};
  best.reached = best.recall >= target;
  while (best.reached && low < high) {
    const std::size_t middle = (low + high) / 2;
    const double recall = recall_at(kBeamWidths[middle]);
    if (recall >= target) {
      high = middle;
      best = {kBeamWidths[middle], recall, true};
    } else {
      low = middle + 1;
    }
  }
  return best;
}

}  // namespace trivium::index
