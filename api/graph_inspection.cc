// SPDX-License-Identifier: Apache-2.0
#include "api/graph_inspection.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "api/graph_training.h"
#include "base/metric.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/search_scratch.h"
#include "routing/graph/graph_drift.h"
#include "routing/graph/untaught_graph.h"
#include "routing/graph/walk_trace.h"

namespace trivium {
namespace {

// With that share of rows added since, walks end among rows that no query taught.
constexpr double kManyNewRows = 0.2;

std::vector<RowUse> Named(const std::vector<routing::VertexUse>& uses,
                          absl::Span<const std::uint64_t> labels) {
  std::vector<RowUse> named;
  for (const routing::VertexUse& use : uses) named.push_back({labels[use.vertex], use.expanded, use.led});
  return named;
}

void Judge(GraphDriftReport* report) {
  const bool pays = report->hop_ratio_high < 1;
  const bool faded = report->hop_ratio_low > report->hop_ratio_then;
  const double rows_then = static_cast<double>(report->rows_then);
  const bool grown =
      report->rows_then > 0 && static_cast<double>(report->rows) > (1 + kManyNewRows) * rows_then;
  report->train_again = !pays || faded || grown;
  report->reason = absl::StrFormat(
      "hops at equal recall %.1f against %.1f untaught, ratio %.3f [%.3f, %.3f]%s; %.3f when it was "
      "trained%s",
      report->hops, report->hops_untaught, report->hop_ratio, report->hop_ratio_low, report->hop_ratio_high,
      pays ? "" : " (not fewer)", report->hop_ratio_then, faded ? " (faded)" : "");
  if (grown) {
    report->reason +=
        absl::StrFormat("; %.0f %% more rows since (more than %.0f %%)",
                        100.0 * static_cast<double>(report->rows) / rows_then - 100, 100 * kManyNewRows);
  }
}

// `learned`: edges, by vertex.
GraphWalk Describe(const index::SearchableRows& searched, const std::vector<index::LearnedEdge>& learned,
                   bool taught, const routing::WalkTrace& trace, const std::vector<base::Neighbor>& truth,
                   absl::Span<const std::uint64_t> labels) {
  GraphWalk walk;
  walk.distance_computations = trace.counters.distances();
  const auto is_learned = [&](const routing::TracedVertex& traced) {
    if (!taught) return false;
    if (traced.origin < 0) {
      if (searched.edge_codes == nullptr) return false;
      const std::vector<std::uint32_t>& entries = searched.edge_codes->given_entries();
      return std::find(entries.begin(), entries.end(), traced.vertex) != entries.end();
    }
    const std::uint32_t from = trace.vertices[traced.origin].vertex;
    const auto edges = std::equal_range(
        learned.begin(), learned.end(), index::LearnedEdge{from, 0, 0},
        [](const index::LearnedEdge& one, const index::LearnedEdge& other) { return one.from < other.from; });
    return std::any_of(edges.first, edges.second,
                       [&](const index::LearnedEdge& edge) { return edge.to == traced.vertex; });
  };
  for (const routing::TracedVertex& traced : trace.vertices) {
    walk.steps.push_back({.label = labels[traced.vertex],
                          .score = base::ScoreFromDistance(traced.distance),
                          .origin = traced.origin,
                          .learned = is_learned(traced)});
  }
  for (const std::size_t position : routing::VerticesThatLed(trace)) walk.steps[position].led = true;
  std::size_t hits = 0;
  for (const base::Neighbor& found : trace.found) {
    walk.found.push_back(labels[found.row]);
    hits += !truth.empty() && found.distance <= truth.back().distance;
  }
  walk.recall = truth.empty() ? 1 : static_cast<double>(hits) / static_cast<double>(truth.size());
  return walk;
}

}  // namespace

absl::Status GraphDriftOptions::Validate() const {
  if (!(recall > 0 && recall <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat("recall: %g, expected more than 0, at most 1", recall));
  }
  if (vertices > 1000) {
    return absl::InvalidArgumentError(
        absl::StrFormat("vertices to list: %d, expected at most 1000", vertices));
  }
  if (threads < 0) {
    return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
  }
  return absl::OkStatus();
}

absl::Status WalkOptions::Validate() const {
  if (k < 1 || k > 1000) {
    return absl::InvalidArgumentError(absl::StrFormat("k: %d, expected 1 to 1000", k));
  }
  return absl::OkStatus();
}

absl::StatusOr<GraphDriftReport> InspectDrift(const index::SearchableRows& searched,
                                              const index::KeptTraining& training, base::MatrixView canaries,
                                              absl::Span<const std::uint64_t> labels,
                                              const GraphDriftOptions& options) {
  if (training.empty()) {
    return absl::FailedPreconditionError("graph drift: the graph is not trained, expected a trained one");
  }
  if (canaries.rows == 0) canaries = training.queries.First(training.held_out);
  if (canaries.rows == 0) {
    return absl::FailedPreconditionError(
        "graph drift: no canary queries are kept beside this graph, expected some to be given");
  }
  TRIVIUM_ASSIGN_OR_RETURN(const routing::GraphDrift drift,
                           routing::MeasureDrift(searched, training, canaries,
                                                 {.recall = options.recall,
                                                  .listed_vertices = options.vertices,
                                                  .seed = options.seed,
                                                  .thread_count = base::ResolveThreadCount(options.threads),
                                                  .cancelled = options.cancelled}));
  const TrainingHistory history = ParseTrainingRecord(training.record);
  GraphDriftReport report;
  report.queries = drift.queries;
  report.rows_then = history.rows;
  report.rows = searched.rows.rows;
  report.edges_kept = drift.edges_kept;
  report.hops_untaught = drift.hops.before;
  report.hops = drift.hops.after;
  report.hop_ratio = drift.hops.ratio;
  report.hop_ratio_low = drift.hops.interval.low;
  report.hop_ratio_high = drift.hops.interval.high;
  report.hop_ratio_then = history.hop_ratio;
  report.helpful = Named(drift.helpful, labels);
  report.harmful = Named(drift.harmful, labels);
  Judge(&report);
  return report;
}

WalkTrace InspectWalk(const index::SearchableRows& searched, const index::KeptTraining& training,
                      const float* query, const WalkOptions& options,
                      absl::Span<const std::uint64_t> labels) {
  index::SearchScratch scratch;
  std::vector<base::Neighbor> truth;
  index::SearchRowsWithGraph(searched, query, {.k = options.k, .method = index::SearchMethod::kExact},
                             &scratch, &truth, nullptr);
  const std::vector<index::LearnedEdge> learned = index::WithoutMovedEdges(training.edges);
  const auto trace = [&](const index::SearchableRows& rows, bool taught) {
    return Describe(rows, learned, taught,
                    routing::TraceWalk(rows, query, options.k, options.beam_width, &scratch), truth, labels);
  };
  WalkTrace traced{.walk = trace(searched, true), .untaught = {}};
  if (!training.empty()) {
    const routing::UntaughtGraph untaught(searched, training.edges, base::ResolveThreadCount(0));
    traced.untaught = trace(untaught.searchable(), false);
  }
  return traced;
}

}  // namespace trivium
