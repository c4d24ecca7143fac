// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/graph_judge.h"

namespace trivium::routing {

GraphJudge::GraphJudge(const index::SearchableRows& searched, std::vector<std::uint32_t> entries,
                       int thread_count, const std::atomic<bool>* cancelled)
    : searched_(searched), entries_(std::move(entries)), thread_count_(thread_count), cancelled_(cancelled) {
  if (searched.edge_codes != nullptr) {
    codes_.emplace(searched.rows.columns, searched.metric, searched.graph->degree_bound());
  }
}

void GraphJudge::UseSpread(std::shared_ptr<const index::QuerySpread> spread) {
  codes_.emplace(searched_.rows.columns, searched_.metric, searched_.graph->degree_bound());
  codes_->SetSpread(std::move(spread));
}

absl::StatusOr<WalkCosts> GraphJudge::Measure(const index::ProximityGraph& graph,
                                              const NearestDistances& truth,
                                              const std::function<void()>& after_width) {
  index::SearchableRows taught = searched_;
  taught.graph = &graph;
  if (codes_) {
    codes_->Update(searched_.rows.floats(), graph, thread_count_);
    if (codes_->given_entries() != entries_) codes_->SetEntries(searched_.rows.floats(), entries_);
    taught.edge_codes = &*codes_;
  }
  return WalkCosts::Measure(taught, truth, thread_count_, cancelled_, after_width);
}

}  // namespace trivium::routing
