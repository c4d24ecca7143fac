// SPDX-License-Identifier: Apache-2.0
// How two vectors are compared, and what "closer" means for each comparison.
//
// Inside the engine everything is a *distance*: smaller is closer.
//   kCosine        1 - cosine; rows and queries are unit vectors, so it is computed as -<q, x>
//   kInnerProduct  -<q, x>
//   kSquaredL2     |q - x|^2
// Users see a *similarity*, the metric's own figure: cosine, inner product, squared L2 distance; and a
// *score*, larger is better: cosine, inner product, minus the squared L2 distance.
#pragma once

#include <cstdint>

namespace trivium::base {

enum class Metric : std::uint8_t { kCosine = 0, kInnerProduct = 1, kSquaredL2 = 2 };

inline constexpr bool UsesInnerProduct(Metric metric) { return metric != Metric::kSquaredL2; }

// A score (larger is better) from a distance (smaller is closer).
inline constexpr float ScoreFromDistance(float distance) { return -distance; }

// The metric's own figure from a score.
inline constexpr float SimilarityFromScore(Metric metric, float score) {
  return metric == Metric::kSquaredL2 ? -score : score;
}

}  // namespace trivium::base
