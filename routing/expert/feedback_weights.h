// SPDX-License-Identifier: Apache-2.0
// How much each feedback counts: less where it repeats others, where its source says much, and as it ages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/matrix_view.h"

namespace trivium::routing {

inline constexpr float kTwinFeedbackCosine = 0.95f;
inline constexpr std::size_t kFullTwins = 3;         // near-identical queries that count fully
inline constexpr double kLargestSourceShare = 0.05;  // of all that counts, for one source
inline constexpr double kFeedbackHalfLife = 500;     // feedbacks after which one counts half

// 1, or kFullTwins / (twins + 1) where that is less: many near-identical queries together count about as
// much as kFullTwins * (1 + ln of their number). `rows`: unit rows that are there already. O(rows).
float RepetitionWeight(base::MatrixView rows, absl::Span<const float> query);

// Weights of feedback in the order it came: `given`, halved with every kFeedbackHalfLife that came after it,
// and scaled down where all of one source would otherwise sum to more than kLargestSourceShare of the whole.
//   sources  0: unknown, each its own
//   limited  null, or overwritten: whether each was scaled down for its source
// A single feedback is never scaled down.
std::vector<float> InfluenceWeights(absl::Span<const float> given, absl::Span<const std::uint64_t> sources,
                                    std::vector<unsigned char>* limited);

}  // namespace trivium::routing
