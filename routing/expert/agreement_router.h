// SPDX-License-Identifier: Apache-2.0
// Label-free: an expert is trusted as far as its answers to queries like this one agreed with the others'.
//
// Of unlabelled queries every expert's agreement (routing/expert/answer_agreement.h) is remembered; the
// nearest of them vote with it, as pilots of KnnUtilityRouter do with utilities. It needs at least 3 experts
// that rank the same documents, and is right only where they err independently: experts that share an error
// agree.
//
// Source:  Guha et al. 2024 (Smoothie-Local; with a large `shrinkage` Smoothie-Global).
// Differs: neighbours are weighed by distance, their estimate is drawn a little to that over all queries, and
//          what is predicted is 1 - half the error, not 1 / error, which has the same order.
#pragma once

#include "routing/expert/knn_utility_router.h"
#include "routing/expert/label_free_router.h"

namespace trivium::routing {

class AgreementRouter final : public LabelFreeRouter {
 public:
  std::string_view name() const override { return "agreement"; }
  std::size_t dimension() const override { return votes_.dimension(); }
  std::size_t expert_count() const override { return votes_.expert_count(); }
  // Every query counts the same, whatever class_balance: no expert is known to be the best.
  absl::Status TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) override;
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override {
    votes_.Predict(query, scratch, utility, uncertainty);
  }
  void AddExpert() override { votes_.AddExpert(); }
  void RemoveExpert(std::size_t expert) override { votes_.RemoveExpert(expert); }
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;
  bool NeedsIndex() const override { return true; }
  absl::Status SaveIndex(const std::string& path) const override { return votes_.SaveIndex(path); }
  absl::Status OpenIndex(const std::string& path) override { return votes_.OpenIndex(path); }

 private:
  KnnUtilityRouter votes_;  // of unlabelled queries, whose utilities are agreements
};

}  // namespace trivium::routing
