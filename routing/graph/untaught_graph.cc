// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/untaught_graph.h"

namespace trivium::routing {

UntaughtGraph::UntaughtGraph(const index::SearchableRows& taught, absl::Span<const index::LearnedEdge> edges,
                             int thread_count)
    : graph_(index::UndoLearnedEdges(*taught.graph, edges)), searchable_(taught) {
  searchable_.graph = &graph_;
  const index::EdgeCodes* codes = taught.edge_codes;
  if (codes == nullptr) return;
  if (codes->spread() == nullptr) {
    codes_ = codes->Borrow();  // of most vertices nothing changes
    codes_->SetEntries(taught.rows.floats(), {});
  } else {
    codes_.emplace(taught.rows.columns, taught.metric, graph_.degree_bound());
  }
  codes_->Update(taught.rows.floats(), graph_, thread_count);
  searchable_.edge_codes = &*codes_;
}

}  // namespace trivium::routing
