// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include "results.h"
#include "trivium/types.h"

namespace trivium::python {
namespace {

// JSON texts as Python values; None for an empty one.
py::list AsTraining(const std::vector<std::string>& texts) {
  const py::object loads = py::module_::import("json").attr("loads");
  py::list values;
  for (const std::string& text : texts) values.append(text.empty() ? py::none() : py::object(loads(text)));
  return values;
}

using namespace pybind11::literals;

py::object Class(const char* name) { return py::module_::import("trivium.reports").attr(name); }

template <class Items>
py::list AsList(const Items& items, py::object (*convert)(const typename Items::value_type&)) {
  py::list list;
  for (const auto& item : items) list.append(convert(item));
  return list;
}

py::object Adapter(const AdapterInfo& adapter) {
  if (!adapter.present) return py::none();
  return Class("AdapterInfo")("enabled"_a = adapter.enabled, "queries"_a = adapter.queries,
                              "reason"_a = adapter.reason);
}

py::object Tree(const TreeInfo& tree) {
  if (!tree.present) return py::none();
  return Class("TreeInfo")("enabled"_a = tree.enabled, "depth"_a = tree.depth, "documents"_a = tree.documents,
                           "queries"_a = tree.queries, "levels"_a = AsPython(tree.levels),
                           "reason"_a = tree.reason, "given"_a = tree.given);
}

py::object Cells(const CellsInfo& cells) {
  if (!cells.present) return py::none();
  return Class("CellsInfo")("enabled"_a = cells.enabled, "cells"_a = cells.cells,
                            "documents"_a = cells.documents, "queries"_a = cells.queries,
                            "router"_a = cells.router, "reason"_a = cells.reason);
}

py::object Space(const SpaceInfo& space) {
  return Class("SpaceInfo")(
      "name"_a = space.name, "dimension"_a = space.dimension,
      "metric"_a = std::string(MetricName(space.metric)), "encoder"_a = space.encoder,
      "encoder_fingerprint"_a = space.encoder_fingerprint, "beam_width"_a = space.beam_width,
      "target_recall"_a = space.target_recall, "profile"_a = std::string(ProfileName(space.profile)),
      "adapter"_a = Adapter(space.adapter), "tree"_a = Tree(space.tree), "cells"_a = Cells(space.cells));
}

py::object Expert(const ExpertInfo& expert) {
  const bool lexical = expert.kind == ExpertKind::kLexical;
  const auto space = lexical ? std::nullopt : std::optional(expert.space);
  return Class("ExpertInfo")(
      "name"_a = expert.name, "kind"_a = std::string(ExpertKindName(expert.kind)), "space"_a = space,
      "partition"_a = expert.partition, "description"_a = expert.description, "cost"_a = expert.cost,
      "adapter"_a = Adapter(expert.adapter), "k1"_a = lexical ? std::optional(expert.k1) : std::nullopt,
      "b"_a = lexical ? std::optional(expert.b) : std::nullopt,
      "quarantine"_a = expert.quarantine.empty() ? std::nullopt : std::optional(expert.quarantine),
      "feedback"_a = Class("ExpertFeedback")(
          "answers"_a = expert.feedback.answers, "predicted"_a = expert.feedback.predicted,
          "observed"_a = expert.feedback.observed, "evidence"_a = expert.feedback.evidence));
}

py::object VectorSet(const VectorSetInfo& set) {
  return Class("VectorSetInfo")("space"_a = set.space, "partition"_a = set.partition, "rows"_a = set.rows,
                                "unsealed"_a = set.unsealed, "deleted"_a = set.deleted,
                                "training"_a = AsTraining(set.training), "segments"_a = set.segments,
                                "bytes"_a = set.bytes, "tree_bytes"_a = set.tree_bytes);
}

py::object AsMixture(const std::optional<ReadingMixture>& mixture) {
  if (!mixture) return py::none();
  return py::dict("own"_a = mixture->own, "plain"_a = mixture->plain);
}

py::object AsSecondLook(const std::optional<SecondLookInfo>& look) {
  if (!look) return py::none();
  return py::dict("route_weight"_a = look->route_weight, "score_weight"_a = look->score_weight,
                  "prior_weight"_a = look->prior_weight, "widen_below"_a = look->widen_below,
                  "max_experts"_a = look->max_experts);
}

py::object AsMemory(const std::optional<MemoryInfo>& memory) {
  if (!memory) return py::none();
  return py::dict("threshold"_a = memory->threshold, "weight"_a = memory->weight,
                  "experts"_a = memory->experts, "queries"_a = memory->queries);
}

py::object TextSet(const TextSetInfo& set) {
  return Class("TextSetInfo")("partition"_a = set.partition, "documents"_a = set.documents,
                              "unsealed"_a = set.unsealed, "deleted"_a = set.deleted,
                              "segments"_a = set.segments, "bytes"_a = set.bytes);
}

// None where there is no guard.
py::object Guard(const GuardReport& guard) {
  if (guard.queries == 0) return py::none();
  return Class("GuardReport")("enabled"_a = guard.enabled, "reason"_a = guard.reason,
                              "queries"_a = guard.queries, "background"_a = guard.background,
                              "threshold"_a = guard.threshold, "acceptance"_a = guard.acceptance,
                              "rejection"_a = guard.rejection, "auroc"_a = guard.auroc,
                              "auroc_interval"_a = py::make_tuple(guard.auroc_low, guard.auroc_high));
}

py::object Dispatch(const DispatchInfo& dispatch) {
  return Class("DispatchInfo")(
      "trained"_a = dispatch.trained, "enabled"_a = dispatch.enabled, "router"_a = dispatch.router,
      "reason"_a = dispatch.reason, "pilots"_a = dispatch.pilots, "feedback"_a = dispatch.feedback,
      "top_p"_a = dispatch.top_p, "prior_weight"_a = dispatch.prior_weight,
      "lexical_weight"_a = dispatch.lexical_weight, "mixture"_a = AsMixture(dispatch.mixture),
      "second_look"_a = AsSecondLook(dispatch.second_look), "memory"_a = AsMemory(dispatch.memory),
      "max_experts"_a = dispatch.max_experts, "guard"_a = Guard(dispatch.guard));
}

}  // namespace

py::object AsPython(const UpsertReport& report) {
  return Class("UpsertReport")("written"_a = report.written, "replaced"_a = report.replaced,
                               "encoded"_a = report.encoded,
                               "encoded_from_cache"_a = report.encoded_from_cache);
}

py::object AsPython(const CalibrationReport& report) {
  py::list spaces;
  for (const CalibratedSpace& space : report.spaces) {
    spaces.append(Class("CalibratedSpace")("space"_a = space.space, "beam_width"_a = space.beam_width,
                                           "recall"_a = space.recall, "reached"_a = space.reached,
                                           "queries"_a = space.queries));
  }
  return Class("CalibrationReport")("target_recall"_a = report.target_recall, "k"_a = report.k,
                                    "spaces"_a = spaces, "seconds"_a = report.seconds);
}

py::object AsPython(const VectorCalibrationReport& report) {
  return Class("VectorCalibrationReport")("target_recall"_a = report.target_recall, "k"_a = report.k,
                                          "beam_width"_a = report.beam_width, "recall"_a = report.recall,
                                          "reached"_a = report.reached, "queries"_a = report.queries,
                                          "seconds"_a = report.seconds);
}

py::object AsPython(const GraphTrainingReport& report) {
  return Class("GraphTrainingReport")(
      "training_queries"_a = report.training_queries, "validation_queries"_a = report.validation_queries,
      "entries"_a = report.entries, "edges_added"_a = report.edges_added,
      "edges_replaced"_a = report.edges_replaced, "codes"_a = report.codes, "generated"_a = report.generated,
      "hops_before"_a = report.hops_before, "hops_after"_a = report.hops_after,
      "hop_ratio"_a = report.hop_ratio,
      "hop_ratio_interval"_a = py::make_tuple(report.hop_ratio_low, report.hop_ratio_high),
      "round_hop_ratios"_a = report.round_hop_ratios, "row_hop_ratio"_a = report.row_hop_ratio,
      "former_hop_ratio"_a = report.former_hop_ratio, "enabled"_a = report.enabled,
      "reason"_a = report.reason, "seconds"_a = report.seconds);
}

py::object AsPython(const TrainGraphReport& report) {
  py::list graphs;
  for (const TrainedSegment& graph : report.graphs) {
    graphs.append(Class("TrainedSegment")("space"_a = graph.space, "partition"_a = graph.partition,
                                          "rows"_a = graph.rows, "training"_a = AsPython(graph.training)));
  }
  return Class("TrainGraphReport")("graphs"_a = graphs, "too_small"_a = report.too_small,
                                   "seconds"_a = report.seconds);
}

py::object AsPython(const AdapterReport& report) {
  py::list adapters;
  for (const TrainedAdapter& adapter : report.adapters) {
    const py::object expert = adapter.expert.empty() ? py::none() : py::object(py::str(adapter.expert));
    adapters.append(Class("TrainedAdapter")(
        "expert"_a = expert, "space"_a = adapter.space, "queries"_a = adapter.queries,
        "steps"_a = adapter.steps, "plain"_a = adapter.plain, "adapted"_a = adapter.adapted,
        "gain"_a = adapter.gain, "gain_low"_a = adapter.gain_low, "gain_high"_a = adapter.gain_high,
        "enabled"_a = adapter.enabled, "reason"_a = adapter.reason));
  }
  return Class("AdapterReport")("adapters"_a = adapters, "unknown_judgements"_a = report.unknown_judgements,
                                "seconds"_a = report.seconds);
}

py::object AsPython(const BuildReport& report) {
  return Class("BuildReport")(
      "segments_built"_a = report.segments_built, "rows_sealed"_a = report.rows_sealed,
      "texts_sealed"_a = report.texts_sealed, "graphs_taught"_a = report.graphs.taught,
      "graphs_left_untaught"_a = report.graphs.left_untaught, "seconds"_a = report.seconds);
}

py::object AsPython(const DispatchReport& report) {
  py::list rows;
  for (const ComparisonRow& row : report.rows) rows.append(AsPython(row));
  return Class("DispatchReport")(
      "queries"_a = report.queries, "validation_queries"_a = report.validation_queries,
      "unknown_judgements"_a = report.unknown_judgements, "router"_a = report.router,
      "enabled"_a = report.enabled, "reason"_a = report.reason, "top_p"_a = report.top_p,
      "max_experts"_a = report.max_experts, "prior_weight"_a = report.prior_weight,
      "lexical_weight"_a = report.lexical_weight, "mixture"_a = AsMixture(report.mixture),
      "second_look"_a = AsSecondLook(report.second_look), "memory"_a = AsMemory(report.memory),
      "gain"_a = report.gain, "gain_low"_a = report.gain_low, "gain_high"_a = report.gain_high,
      "rows"_a = rows, "guard"_a = Guard(report.guard),
      "first_expert_changed"_a = report.first_expert_changed, "seconds"_a = report.seconds);
}

py::object AsPython(const FeedbackReport& report) {
  return Class("FeedbackReport")("kept"_a = report.kept, "ignored"_a = report.ignored,
                                 "reduced"_a = report.reduced, "in_use"_a = report.in_use,
                                 "quarantined"_a = report.quarantined);
}

py::object AsPython(const StoreInfo& info) {
  py::dict partitions;
  for (const auto& [name, documents] : info.partitions) partitions[py::str(name)] = documents;
  return Class("StoreInfo")(
      "path"_a = info.path, "uuid"_a = info.uuid, "format_version"_a = info.format_version,
      "version"_a = info.version, "kernels"_a = info.kernels, "documents"_a = info.documents,
      "partitions"_a = partitions, "spaces"_a = AsList(info.spaces, &Space),
      "experts"_a = AsList(info.experts, &Expert), "vector_sets"_a = AsList(info.vector_sets, &VectorSet),
      "text_sets"_a = AsList(info.text_sets, &TextSet), "dispatch"_a = Dispatch(info.dispatch));
}

py::object AsPython(const VerifyReport& report) {
  return Class("VerifyReport")("files"_a = report.files, "bytes"_a = report.bytes,
                               "documents"_a = report.documents, "vectors"_a = report.vectors);
}

namespace {

py::object CellDrift(const CellDriftReport& report) {
  return Class("CellDrift")("space"_a = report.space, "overfull"_a = report.overfull,
                            "rebuilt"_a = report.rebuilt);
}

}  // namespace

py::object AsPython(const CompactReport& report) {
  return Class("CompactReport")(
      "segments_before"_a = report.segments_before, "segments_after"_a = report.segments_after,
      "rows_dropped"_a = report.rows_dropped, "graphs_taught"_a = report.graphs.taught,
      "graphs_left_untaught"_a = report.graphs.left_untaught, "cells"_a = AsList(report.cells, &CellDrift),
      "seconds"_a = report.seconds);
}

}  // namespace trivium::python
