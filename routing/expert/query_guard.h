// SPDX-License-Identifier: Apache-2.0
// Says whether a query is one of those that the experts serve: its probability, by where it lies among pilots
// and among background pilots (ordinary queries that no expert serves).
//
// Source:  Larson et al. 2019 (CLINC150) compare a background class with a threshold on distance.
// Differs: both at once. A logistic model reads cosines to the nearest pilots of either kind. A linear
//          classifier of the vector as one more feature brought nothing on CLINC150: background is all that
//          is not served, no side of a plane.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_index.h"

namespace trivium::routing {

// What the logistic model sees of a query.
inline constexpr std::size_t kGuardFeatureCount = 4;
using GuardFeatures = std::array<float, kGuardFeatureCount>;

// Const functions are safe to call concurrently, each thread with a scratch of its own.
class QueryGuard {
 public:
  // Prepares features from pilots and background pilots (rows of unit length, one dimension); the model is
  // still to be set. `graph_threshold`: see RouterOptions. kInvalidArgument: a side without rows.
  absl::Status Build(base::MatrixView pilots, base::MatrixView background, std::size_t graph_threshold);

  // One weight a feature, and the bias.
  using Weights = std::array<double, kGuardFeatureCount + 1>;
  static double LogOdds(const Weights& weights, const GuardFeatures& features);
  static double Probability(double log_odds);
  // `threshold`: the least probability that is accepted.
  void SetModel(const Weights& weights, double threshold);

  std::size_t dimension() const { return dimension_; }
  double threshold() const { return threshold_; }

  // `query`: a unit vector of dimension() floats. Allocates nothing once `scratch` has grown. Cost: a search
  // of the nearest pilots and one of the nearest background pilots.
  GuardFeatures Measure(absl::Span<const float> query, RouterScratch* scratch) const;
  // Probability that `query` is served, were such queries as frequent as others: 0 to 1.
  double Score(absl::Span<const float> query, RouterScratch* scratch) const;
  bool Accepts(double score) const { return score >= threshold_; }

  // What was learned as bytes (versioned, checksummed), without the vectors, which lie in two files of a
  // PilotIndex each. Requires Build; a loaded guard scores after OpenIndexes.
  std::string Save() const;
  absl::Status Load(std::string_view bytes);  // kDataLoss: damaged; the guard is unchanged
  absl::Status SaveIndexes(const std::string& pilots_path, const std::string& background_path) const;
  absl::Status OpenIndexes(const std::string& pilots_path, const std::string& background_path);  // kDataLoss

 private:
  // As saved, to recognise the files by.
  struct Side {
    PilotIndex index;
    std::uint64_t count = 0;
    std::uint64_t fingerprint = 0;
  };

  Side pilots_, background_;
  std::size_t dimension_ = 0;
  Weights weights_{};
  double threshold_ = 0;
};

}  // namespace trivium::routing
