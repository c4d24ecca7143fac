// SPDX-License-Identifier: Apache-2.0
// Evaluations as Python dataclasses.
#include <pybind11/stl.h>

#include "results.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

py::object Class(const char* name) { return py::module_::import("trivium.evaluation_reports").attr(name); }

py::object Outcome(const QueryOutcome& outcome) {
  return Class("QueryOutcome")(
      "id"_a = outcome.id, "ndcg_at_10"_a = outcome.ndcg_at_10, "recall_at_10"_a = outcome.recall_at_10,
      "recall_at_100"_a = outcome.recall_at_100, "mrr_at_10"_a = outcome.mrr_at_10,
      "latency_us"_a = outcome.latency_us, "distance_computations"_a = outcome.distance_computations,
      "bytes_read"_a = outcome.bytes_read, "experts"_a = outcome.experts,
      "probabilities"_a = outcome.probabilities, "clean"_a = outcome.clean, "compared"_a = outcome.compared,
      "ids"_a = outcome.ids, "partitions"_a = outcome.partitions, "scores"_a = outcome.scores);
}

py::object Clean(const std::optional<CleanMetrics>& clean) {
  if (!clean) return py::none();
  return Class("CleanMetrics")("sets"_a = clean->sets, "queries"_a = clean->queries,
                               "ndcg_at_10"_a = clean->ndcg_at_10, "recall_at_10"_a = clean->recall_at_10,
                               "recall_at_100"_a = clean->recall_at_100, "mrr_at_10"_a = clean->mrr_at_10);
}

py::list Rows(const std::vector<ComparisonRow>& rows) {
  py::list list;
  for (const ComparisonRow& row : rows) list.append(AsPython(row));
  return list;
}

py::object Metrics(const SetMetrics& set) {
  py::list outcomes;
  for (const QueryOutcome& outcome : set.outcomes) outcomes.append(Outcome(outcome));
  return Class("SetMetrics")(
      "name"_a = set.name, "queries"_a = set.queries, "skipped_queries"_a = set.skipped_queries,
      "rejected_queries"_a = set.rejected_queries,
      "skipped_rejected_queries"_a = set.skipped_rejected_queries,
      "unknown_judgements"_a = set.unknown_judgements, "ndcg_at_10"_a = set.ndcg_at_10,
      "recall_at_10"_a = set.recall_at_10, "recall_at_100"_a = set.recall_at_100,
      "mrr_at_10"_a = set.mrr_at_10, "clean"_a = Clean(set.clean),
      "experts_per_query"_a = set.experts_per_query,
      "distance_computations_per_query"_a = set.distance_computations_per_query,
      "distances"_a = set.distances, "bytes_read_per_query"_a = set.bytes_read_per_query,
      "searches_per_query"_a = set.searches_per_query,
      "encoder_calls_per_query"_a = set.encoder_calls_per_query,
      "latency_us"_a =
          py::dict("p50"_a = set.latency_p50_us, "p95"_a = set.latency_p95_us, "p99"_a = set.latency_p99_us),
      "compare"_a = Rows(set.compare), "outcomes"_a = outcomes);
}

py::object Router(const RouterMetrics& router) {
  return Class("RouterMetrics")(
      "name"_a = router.name, "queries"_a = router.queries,
      "first_expert"_a = py::dict("holds_relevant"_a = router.holds_relevant, "best"_a = router.best),
      "calibration_error"_a = py::dict("holds_relevant"_a = router.holds_relevant_calibration_error,
                                       "best"_a = router.best_calibration_error),
      "route_flips"_a = router.route_flips,
      "aiq"_a = py::dict("distances"_a = router.aiq_distances, "experts"_a = router.aiq_experts),
      "budgets"_a = Rows(router.budgets));
}

}  // namespace

py::object AsPython(const ComparisonRow& row) {
  const auto reports = py::module_::import("trivium.reports");
  const auto interval = [](const Estimate& estimate) { return py::make_tuple(estimate.low, estimate.high); };
  py::object clean = py::none();
  if (row.clean) {
    clean = reports.attr("CleanComparison")("ndcg_at_10"_a = row.clean->ndcg_at_10,
                                            "gain"_a = row.clean->gain.value,
                                            "gain_interval"_a = interval(row.clean->gain));
  }
  return reports.attr("ComparisonRow")(
      "name"_a = row.name, "ndcg_at_10"_a = row.ndcg_at_10, "experts_per_query"_a = row.experts_per_query,
      "distance_computations_per_query"_a = row.distance_computations_per_query, "gain"_a = row.gain.value,
      "gain_interval"_a = interval(row.gain), "oracle_share"_a = row.oracle_share.value,
      "oracle_share_interval"_a = interval(row.oracle_share), "clean"_a = clean);
}

py::object AsPython(const EvaluationReport& report) {
  py::list sets, routers;
  for (const SetMetrics& set : report.sets) sets.append(Metrics(set));
  for (const RouterMetrics& router : report.routers) routers.append(Router(router));
  return Class("EvaluationReport")("sets"_a = sets, "macro"_a = Metrics(report.macro), "routers"_a = routers);
}

}  // namespace trivium::python
