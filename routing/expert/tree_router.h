// SPDX-License-Identifier: Apache-2.0
// Label-free: where an expert's vectors lie in the cells of a partition tree, and how many of them.
//
// Vectors of a set are grouped by the cells of the tree that one training gave the whole space. A group
// stands for a von Mises-Fisher distribution around its mean direction, and a set for the mixture of its
// groups, each counting by its share of the set; sets are equally probable beforehand, however large:
//
//   p(query | set) ~ sum over its groups of share x exp(<query, direction> / temperature)
//
// An expert's utility is the probability, given the query, of the sets that it searches. Only the documents'
// side of the tree is used, so that its queries, if any taught it, cannot have told who answers them.
//
// Source:  mixtures of von Mises-Fisher distributions (Banerjee et al. 2005); resource selection as the
//          probability of a collection's language model (Si et al. 2002).
// Differs: groups are the tree's cells instead of being fitted by expectation-maximisation, and all have one
//          concentration. Measured beside other uses of the cells, see docs/dispatch.md.
#pragma once

#include <cstdint>
#include <vector>

#include "routing/expert/label_free_router.h"

namespace trivium::routing {

class TreeRouter final : public LabelFreeRouter {
 public:
  std::string_view name() const override { return "tree"; }
  std::size_t dimension() const override { return groups_.directions.columns(); }
  std::size_t expert_count() const override { return groups_of_.size(); }
  // kInvalidArgument also where all experts hold the same vectors, which tells none from another.
  absl::Status TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) override;
  // Likewise, of groups of any kind. kInvalidArgument: all experts hold the same vectors, or none any.
  absl::Status TrainOnGroups(const ExpertFacts& facts, float temperature);
  // Cost: O(groups x d).
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  // Its groups go on competing, so that the shares of the others stay.
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  float temperature_ = 1;
  CellGroups groups_;
  std::vector<std::vector<std::uint32_t>> groups_of_;  // E; empty = unknown expert
};

}  // namespace trivium::routing
