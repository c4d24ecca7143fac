// SPDX-License-Identifier: Apache-2.0
// The default: an expert is expected to be as useful as it was for the pilots nearest to the query.
//
// The k nearest pilots vote with their utilities; a vote weighs exp((cosine - nearest cosine) / temperature)
// times the pilot's balanced weight. Per expert only pilots that know its utility vote, and the mean of their
// votes is shrunk towards the expert's mean utility over all pilots. Unknown utilities cost nothing, and a
// new expert changes nobody else's figure.
#pragma once

#include <optional>
#include <vector>

#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_index.h"
#include "routing/expert/pilot_weights.h"

namespace trivium::routing {

class KnnUtilityRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "knn_utility"; }
  std::size_t dimension() const override { return dimension_; }
  std::size_t expert_count() const override { return prior_.mean.size(); }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  std::optional<PilotVotes> ExplainVotes(absl::Span<const float> query, std::size_t expert,
                                         RouterScratch* scratch) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;
  bool NeedsIndex() const override { return true; }
  absl::Status SaveIndex(const std::string& path) const override { return index_.Save(path); }
  absl::Status OpenIndex(const std::string& path) override;

 private:
  // What the vote of a pilot found weighs; `nearest`: the first one found.
  float WeightOf(const base::Neighbor& found, const base::Neighbor& nearest) const;

  std::size_t dimension_ = 0;
  std::uint64_t fingerprint_ = 0;  // of the index that belongs to these
  std::size_t neighbor_count_ = 0;
  float temperature_ = 1;
  float shrinkage_ = 0;
  UtilityPrior prior_;
  std::vector<float> utilities_;  // n x E; NaN = unknown
  std::vector<float> weights_;    // n
  PilotIndex index_;
};

}  // namespace trivium::routing
