// SPDX-License-Identifier: Apache-2.0
// The floor of every comparison: each expert's mean utility, whatever the query.
#pragma once

#include <vector>

#include "routing/expert/expert_router.h"

namespace trivium::routing {

class StaticBestRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "static_best"; }
  std::size_t dimension() const override { return dimension_; }
  std::size_t expert_count() const override { return mean_.size(); }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  std::size_t dimension_ = 0;
  std::vector<float> mean_;   // NaN = unknown
  std::vector<float> error_;  // of the mean
};

}  // namespace trivium::routing
