// SPDX-License-Identifier: Apache-2.0
// A table instead of pilots: which expert is how useful in which region of the router space. Its cost does
// not grow with the number of pilots, which are not kept.
//
// Pilots are clustered by direction, each counting by its balanced weight. Per cluster and expert the table
// holds the mean utility of those that know the expert, shrunk towards the expert's mean over all pilots by
// n / (n + shrinkage), n the sum of their weights. A query reads the 8 nearest clusters, each weighing
// exp((cosine - nearest cosine) / temperature).
#pragma once

#include <vector>

#include "base/aligned_matrix.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

class ClusterTableRouter final : public ExpertRouter {
 public:
  std::string_view name() const override { return "cluster_table"; }
  std::size_t dimension() const override { return centroids_.columns(); }
  std::size_t expert_count() const override { return expert_count_; }
  absl::Status Train(const PilotSet& pilots, const RouterOptions& options) override;
  // Cost: O(clusters x d + 8 x experts).
  void Predict(absl::Span<const float> query, RouterScratch* scratch, absl::Span<float> utility,
               absl::Span<float> uncertainty) const override;
  void AddExpert() override;
  void RemoveExpert(std::size_t expert) override;
  std::string Save() const override;
  absl::Status Load(std::string_view bytes) override;

 private:
  std::size_t expert_count_ = 0;
  float temperature_ = 1;
  base::AlignedMatrix centroids_;  // C x d, unit rows
  std::vector<float> utilities_;   // C x E; NaN = unknown expert
  std::vector<float> errors_;      // C x E: one standard deviation of the utility; NaN likewise
};

}  // namespace trivium::routing
