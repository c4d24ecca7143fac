// SPDX-License-Identifier: Apache-2.0
// For comparison: an expert is as useful as the query is similar to the nearest pilot it is best for.
//
// Source:  the released code of RouterRetriever (Lee et al. 2024), which keeps every pilot instead of means.
// Differs: pilots on which several experts tie count for each of them. The similarity stands in for a
//          utility, and its uncertainty is always 0. It is read off 8-bit codes, so off by about 0.002.
// Cost:    a scan over the codes of all pilots, O(n d) a query.
#pragma once

#include <vector>

#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_index.h"

namespace trivium::routing {

class MaxPilotRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "max_pilot"; }
  std::size_t dimension() const override { return dimension_; }
  std::size_t expert_count() const override { return known_.size(); }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;
  bool NeedsIndex() const override { return true; }
  absl::Status SaveIndex(const std::string& path) const override { return index_.Save(path); }
  absl::Status OpenIndex(const std::string& path) override;

 private:
  std::size_t dimension_ = 0;
  std::uint64_t fingerprint_ = 0;     // of the index that belongs to these
  std::vector<unsigned char> known_;  // E
  std::vector<std::uint32_t>
      best_begin_;                   // n + 1: pilot i is best for best_[best_begin_[i] .. best_begin_[i + 1])
  std::vector<std::uint32_t> best_;  // experts
  PilotIndex index_;
};

}  // namespace trivium::routing
