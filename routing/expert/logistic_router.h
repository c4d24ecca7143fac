// SPDX-License-Identifier: Apache-2.0
// Whose query it is, as probabilities: multinomial logistic regression on the pilots' owners, or on their
// best experts where no owner is known. The probability is the utility that it predicts: an expert's worth
// is then how surely the query is its own, whatever nDCG queries of that kind allow.
//
// With a share for the documents the probabilities are a logarithmic pool of these and of those that follow
// from where the experts' documents lie (routing/expert/tree_router.h), which knows of queries that no pilot
// resembles:
//
//   p(expert) ~ p_pilots(expert) ^ (1 - share) x p_documents(expert) ^ share
//
// Source: Genest and Zidek 1986 (logarithmic opinion pools). Measured in docs/dispatch.md.
#pragma once

#include <memory>
#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/tree_router.h"

namespace trivium::routing {

class LogisticRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "logistic"; }
  std::size_t dimension() const override { return weights_.columns(); }
  std::size_t expert_count() const override { return class_of_.size(); }

  // Cost: that of FitLogistic. Experts without any known utility take no part.
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;

  // Left as it was where options.document_share is 0, or the documents of an expert that it knows are not
  // told, or do not differ.
  void AddFacts(const ExpertFacts& facts, const RouterOptions& options) override;

  // O(experts d), with documents also of their groups. The uncertainty is that of a share among as many
  // pilots as the expert had.
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  // Its class stays, so that what it would have taken is not given to the others.
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  void Pool(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility) const;

  base::AlignedMatrix weights_;          // classes x d
  std::vector<float> bias_;              // classes
  std::vector<float> counts_;            // classes: pilots, as they count
  std::vector<std::uint32_t> class_of_;  // of each expert: its class; kNoClass = unknown
  float document_share_ = 0;
  std::unique_ptr<TreeRouter> documents_;  // null where they have no share
};

}  // namespace trivium::routing
