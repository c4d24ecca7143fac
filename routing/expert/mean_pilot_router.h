// SPDX-License-Identifier: Apache-2.0
// For comparison: an expert is as useful as the query is similar to the mean of the pilots it is best for.
//
// Source:  RouterRetriever (Lee et al. 2024), Alg. 1, with all training queries as one data set.
// Differs: pilots on which several experts tie count for each of them; the similarity is the cosine to the
//          mean. It stands in for a utility: only its order and rough size mean anything.
#pragma once

#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

class MeanPilotRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "mean_pilot"; }
  std::size_t dimension() const override { return centroids_.columns(); }
  std::size_t expert_count() const override { return spread_.size(); }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  base::AlignedMatrix centroids_;  // E x d, unit rows; zero for an expert that is never best
  std::vector<float> spread_;  // 1 - length of the mean: 0 where all its pilots agree; NaN = unknown expert
};

}  // namespace trivium::routing
