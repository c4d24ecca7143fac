// SPDX-License-Identifier: Apache-2.0
// Label-free: whose vectors are likely to be among the best of all, read off how each vector set is spread.
//
// The scores <query, x> of a set of n vectors are taken for normal, of mean <query, mean> and variance
// sum_c query_c^2 variance_c. So a set is expected to hold n Q((t - mean) / deviation) vectors above a score
// t, Q the upper tail of the normal distribution. t is where about `depth` vectors of all sets lie above it;
// an expert's utility is the share of them that lies in its sets.
//
// Source:  Aly, Hiemstra, Demeester 2013 (Taily), resource selection by the tails of score distributions.
// Differs: dense vectors instead of terms, so normal distributions instead of gamma.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/label_free_router.h"

namespace trivium::routing {

class MomentsRouter final : public LabelFreeRouter {
 public:
  std::string_view name() const override { return "moments"; }
  std::size_t dimension() const override { return means_.columns(); }
  std::size_t expert_count() const override { return sets_of_.size(); }
  absl::Status TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) override;
  // The uncertainty is that of counting `depth` vectors. Cost: O(sets x d).
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  // Its sets go on competing for the best vectors, so that the shares of the others stay.
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  // Sets up sums and bounds that depend on counts and depth alone.
  void FindBounds();
  // A score above which about depth_ vectors are expected; scores and spreads of the sets are in `scratch`.
  double Threshold(RouterScratch* scratch) const;

  float depth_ = 1;                                  // at most half of all vectors
  base::AlignedMatrix means_;                        // S x d
  base::AlignedMatrix variances_;                    // S x d
  std::vector<float> counts_;                        // S, > 0
  std::vector<std::vector<std::uint32_t>> sets_of_;  // E; empty = unknown expert

  // Derived, in deviations from a set's mean: above low_ it alone holds depth_ vectors, above high_ next to
  // none.
  std::vector<float> low_, high_;  // S
};

}  // namespace trivium::routing
