// SPDX-License-Identifier: Apache-2.0
// Which beam width reaches a recall, and how that recall is measured.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/types/span.h"

namespace trivium::index {

// The beam of searches that do not say, as an index keeps it.
struct DefaultBeam {
  std::size_t width = 0;     // 0: the engine's default, the index was not calibrated
  double target_recall = 0;  // what the width was chosen for, in (0, 1]; 0: not calibrated
  bool operator==(const DefaultBeam&) const = default;
};

struct BeamCalibration {
  std::size_t beam_width = 0;
  double recall = 0;     // at that width
  bool reached = false;  // whether it is at least the target
};

// The widths that are tried, from 10 on about a fifth apart.
inline constexpr std::array<std::size_t, 26> kBeamWidths = {1,   2,   3,   4,   6,   8,   10,  12,  16,
                                                            20,  24,  32,  40,  48,  64,  80,  96,  128,
                                                            160, 192, 256, 320, 384, 512, 768, 1024};

// Of walks: they measure their slack from the tenth result, however few are wanted (edge_walk.cc).
inline constexpr std::size_t kNarrowestWalk = 10;

// The narrowest of kBeamWidths, at least `narrowest`, with recall_at(width) >= target, or the widest where
// none has. Recall is taken to rise with the width, so that about five widths are measured.
inline BeamCalibration CalibrateBeam(double target, std::size_t narrowest,
                                     const std::function<double(std::size_t width)>& recall_at) {
  std::size_t low = 0;
  while (low + 1 < kBeamWidths.size() && kBeamWidths[low] < narrowest) ++low;
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

// The recall of searches for sample queries, against what the exact scan finds for them. A hit counts where
// it is as near as the last true one: of equals any will do.
class SampleRecall {
 public:
  // Takes what was found for one query: scores, larger for nearer, best first. Safe to call concurrently for
  // distinct queries.
  using Take = std::function<void(std::size_t query, absl::Span<const float> scores)>;
  // Searches for every sample query with this beam width, exactly where it is 0.
  using SearchAll = std::function<void(std::size_t beam_width, const Take& take)>;

  // Searches exactly.
  SampleRecall(std::size_t query_count, SearchAll search_all)
      : search_all_(std::move(search_all)), truth_(query_count) {
    search_all_(0, [&](std::size_t query, absl::Span<const float> scores) {
      truth_[query].assign(scores.begin(), scores.end());
    });
  }

  // The share of the true neighbours found; 1 where there are none.
  double At(std::size_t beam_width) const {
    std::atomic<std::size_t> found{0}, wanted{0};
    search_all_(beam_width, [&](std::size_t query, absl::Span<const float> scores) {
      const std::vector<float>& truth = truth_[query];
      for (const float score : scores) found += !truth.empty() && score >= truth.back() ? 1 : 0;
      wanted += truth.size();
    });
    return wanted == 0 ? 1.0 : static_cast<double>(found) / static_cast<double>(wanted);
  }

 private:
  SearchAll search_all_;
  std::vector<std::vector<float>> truth_;  // of each query
};

}  // namespace trivium::index
