// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/untaught_graph.h"

namespace trivium::routing {

UntaughtGraph::UntaughtGraph(const index::SearchableRows& taught, absl::Span<const index::LearnedEdge> edges,
                             int thread_count)
    : graph_(index::UndoLearnedEdges(*taught.graph, edges)), searchable_(taught) {
  searchable_.graph = &graph_;
  const index::EdgeCodes* codes = taught.edge_codes;
  if (codes == nullptr) return;
  codes_.emplace(taught.rows.columns, taught.metric, graph_.degree_bound(), codes->size(), codes->blocks(),
                 codes->entry_block(), nullptr);
  codes_->Update(taught.rows.floats(), graph_, thread_count);  // copies the blocks it changes nothing of
  searchable_.edge_codes = &*codes_;
}

}  // namespace trivium::routing
