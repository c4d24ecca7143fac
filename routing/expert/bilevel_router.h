// SPDX-License-Identifier: Apache-2.0
// Whose query it is where experts are many: first the region, then the expert in it.
//
// Experts are grouped by the mean direction of their own pilots into about sqrt(experts) regions, none larger
// than 4 times the mean. One logistic regression names the region, another one the expert. A query is scored
// by the experts of its most probable regions alone, at most 4: those share the probability of these regions
// as the second regression says. The probability of any other region is shared out by its experts' pilots.
// With fewer than 16 experts there is one region, and the router is `logistic`.
//
// Measured (docs/dispatch.md): to learn in each region a regression of its own, P(region) P(expert | region),
// names fewer owners, because what the regions get wrong then stays wrong.
#pragma once

#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

class BilevelRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "bilevel"; }
  std::size_t dimension() const override { return region_weights_.columns(); }
  std::size_t expert_count() const override { return class_of_.size(); }
  std::size_t fewest_experts() const override { return 32; }  // below, `logistic` is as cheap

  // Cost: that of FitLogistic for the regions and for the experts. Experts without any known utility take no
  // part.
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;

  // O((regions + 4 experts / regions) d + experts), regions of equal size supposed. The uncertainty is that
  // of a share among as many pilots as the expert had.
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  // Its class stays, so that what it would have taken is not given to the others.
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  bool IsSound() const;
  void ShareByPilots();

  base::AlignedMatrix region_weights_;  // regions x d
  std::vector<float> region_bias_;      // regions
  std::vector<std::uint32_t> first_;    // regions + 1: region r has the classes from first_[r] to first_[r+1]
  base::AlignedMatrix class_weights_;   // classes x d
  std::vector<float> class_bias_;       // classes
  std::vector<float> counts_;           // classes: pilots, as they count
  std::vector<float> by_pilots_;        // classes: share of their region's pilots; derived
  std::vector<std::uint32_t> class_of_;  // of each expert: its class; kNoClass = unknown
};

}  // namespace trivium::routing
