// SPDX-License-Identifier: Apache-2.0
// Utilities as a linear function of the query: one weighted ridge regression per expert, in closed form.
//
// Experts that are known for the same pilots share one Gram matrix, so a complete table of utilities costs a
// single factorisation; an expert known for some pilots only is fitted on those.
#pragma once

#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

class LinearRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "linear"; }
  std::size_t dimension() const override { return weights_.columns(); }
  std::size_t expert_count() const override { return bias_.size(); }

  // Cost: O(n d^2 + d^3) per distinct set of known pilots.
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;

  // The uncertainty is the spread of the training residuals, the same for every query.
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  base::AlignedMatrix weights_;  // E x d
  std::vector<float> bias_;      // NaN = unknown expert
  std::vector<float> residual_;  // weighted root mean square
};

}  // namespace trivium::routing
