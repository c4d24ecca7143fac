// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/graph_drift.h"

#include <algorithm>

#include "absl/status/status.h"
#include "base/status_macros.h"
#include "index/search_scratch.h"
#include "routing/graph/untaught_graph.h"
#include "routing/graph/walk_trace.h"

namespace trivium::routing {
namespace {

double ShareKept(const index::ProximityGraph& graph, const std::vector<index::LearnedEdge>& edges) {
  if (edges.empty()) return 1;
  const auto kept = std::count_if(edges.begin(), edges.end(), [&](const index::LearnedEdge& edge) {
    const auto now = graph.Neighbors(edge.from);
    return std::find(now.begin(), now.end(), edge.to) != now.end();
  });
  return static_cast<double>(kept) / static_cast<double>(edges.size());
}

// How often walks for the queries came by each vertex; only vertices that some did.
std::vector<VertexUse> CountUses(const index::SearchableRows& searched, base::MatrixView queries) {
  std::vector<VertexUse> uses(searched.rows.rows);
  index::SearchScratch scratch;
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const WalkTrace trace = TraceWalk(searched, queries.row(i), kCostResults, 0, &scratch);
    for (const TracedVertex& traced : trace.vertices) ++uses[traced.vertex].expanded;
    for (const std::size_t position : VerticesThatLed(trace)) ++uses[trace.vertices[position].vertex].led;
  }
  for (std::uint32_t vertex = 0; vertex < uses.size(); ++vertex) uses[vertex].vertex = vertex;
  std::erase_if(uses, [](const VertexUse& use) { return use.expanded == 0; });
  return uses;
}

// The `count` uses with the most of `what`, without those that have none.
template <class What>
std::vector<VertexUse> Most(const std::vector<VertexUse>& uses, std::size_t count, const What& what) {
  std::vector<VertexUse> most(uses);
  count = std::min(count, most.size());
  std::partial_sort(most.begin(), most.begin() + static_cast<std::ptrdiff_t>(count), most.end(),
                    [&](const VertexUse& one, const VertexUse& other) {
                      return what(one) != what(other) ? what(one) > what(other) : one.vertex < other.vertex;
                    });
  most.resize(count);
  std::erase_if(most, [&](const VertexUse& use) { return what(use) == 0; });
  return most;
}

}  // namespace

absl::StatusOr<GraphDrift> MeasureDrift(const index::SearchableRows& searched,
                                        const index::KeptTraining& training, base::MatrixView canaries,
                                        const GraphDriftOptions& options) {
  GraphDrift drift;
  drift.queries = canaries.rows;
  drift.edges_kept = ShareKept(*searched.graph, index::WithoutMovedEdges(training.edges));
  const int threads = options.thread_count;
  TRIVIUM_ASSIGN_OR_RETURN(const NearestDistances truth,
                           ScanNearest(searched, canaries, threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts taught,
                           WalkCosts::Measure(searched, truth, threads, options.cancelled));
  const UntaughtGraph untaught(searched, training.edges, threads);
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts before,
                           WalkCosts::Measure(untaught.searchable(), truth, threads, options.cancelled));
  drift.hops = CompareHops(before, taught, options.recall, options.seed);
  if (options.listed_vertices == 0) return drift;
  const std::vector<VertexUse> uses = CountUses(searched, canaries);
  drift.helpful = Most(uses, options.listed_vertices, [](const VertexUse& use) { return use.led; });
  drift.harmful =
      Most(uses, options.listed_vertices, [](const VertexUse& use) { return use.expanded - use.led; });
  return drift;
}

}  // namespace trivium::routing
