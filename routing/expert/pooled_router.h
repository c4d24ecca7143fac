// SPDX-License-Identifier: Apache-2.0
// What `logistic` and `knn_utility` say together, as a logarithmic pool: the one knows whose query it is, the
// other how useful each expert was for the queries most like it.
//
//   utility(expert) = p(expert) ^ (1 - share) x exp(8 share (r(expert) - 1))
//
// with p of logistic, and r what the nearest pilots let expect of the expert, as a share of what the best
// expert of each pilot gave. Only the proportions of the result count.
//
// Source: Genest and Zidek 1986 (logarithmic opinion pools). Measured in docs/dispatch.md: pays where a query
//         has several owners that are not equally good.
#pragma once

#include "routing/expert/expert_router.h"
#include "routing/expert/knn_utility_router.h"
#include "routing/expert/logistic_router.h"

namespace trivium::routing {

class PooledRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "pooled"; }
  std::size_t dimension() const override { return logistic_.dimension(); }
  std::size_t expert_count() const override { return logistic_.expert_count(); }
  bool wants_several_owners() const override { return true; }

  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  void AddFacts(const ExpertFacts& facts, const RouterOptions& options) override {
    logistic_.AddFacts(facts, options);
  }

  // Costs what both cost. The uncertainty is that of logistic.
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;
  bool NeedsIndex() const override { return true; }
  absl::Status SaveIndex(const std::string& path) const override { return pilots_.SaveIndex(path); }
  absl::Status OpenIndex(const std::string& path) override { return pilots_.OpenIndex(path); }

 private:
  LogisticRouter logistic_;
  KnnUtilityRouter pilots_;  // of utilities as shares of the best
  float share_ = 0;          // of the pilots' say
};

}  // namespace trivium::routing
