// SPDX-License-Identifier: Apache-2.0
// Label-free: the expert that describes itself most like the query.
//
// An expert's score is the largest cosine of the query with one of the texts that describe it; its utility is
// exp(score / temperature), as a share of all that were described when the router was trained.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/label_free_router.h"

namespace trivium::routing {

class DescriptionRouter final : public LabelFreeRouter {
 public:
  std::string_view name() const override { return "description"; }
  std::size_t dimension() const override { return texts_.columns(); }
  std::size_t expert_count() const override { return voice_of_.size(); }
  absl::Status TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) override;
  // The uncertainty is that of a single draw from the shares. Cost: O(texts x d).
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  // What it said goes on competing, so that the shares of the others stay.
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  static constexpr std::uint32_t kSilent = 0xFFFFFFFF;  // an expert that says nothing of itself

  float temperature_ = 1;
  base::AlignedMatrix texts_;                    // all texts, of one expert after the other
  std::vector<std::uint32_t> first_text_ = {0};  // voices + 1
  std::vector<std::uint32_t> voice_of_;          // E; kSilent, or whose texts these are
};

}  // namespace trivium::routing
