// SPDX-License-Identifier: Apache-2.0
// What is seen of graphs, as the dataclasses of trivium/graph_reports.py.
#include <pybind11/stl.h>

#include "results.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

py::object Class(const char* name) { return py::module_::import("trivium.graph_reports").attr(name); }

// Of an index: the label itself.
struct Label {
  py::object operator()(std::uint64_t label) const { return py::int_(label); }
};

// Of a store: None for a document that was deleted since.
struct DocumentId {
  const std::map<std::uint64_t, std::string>& ids;
  py::object operator()(std::uint64_t number) const {
    const auto id = ids.find(number);
    return id == ids.end() ? py::object(py::none()) : py::object(py::str(id->second));
  }
};

template <class Name>
py::list Uses(const std::vector<RowUse>& uses, const Name& name) {
  py::list list;
  for (const RowUse& use : uses) {
    list.append(Class("VertexUse")("id"_a = name(use.label), "expanded"_a = use.expanded, "led"_a = use.led));
  }
  return list;
}

template <class Name>
py::object Drift(const GraphDriftReport& drift, const Name& name) {
  return Class("GraphDriftReport")(
      "queries"_a = drift.queries, "rows"_a = drift.rows, "rows_then"_a = drift.rows_then,
      "edges_kept"_a = drift.edges_kept, "hops"_a = drift.hops, "hops_untaught"_a = drift.hops_untaught,
      "hop_ratio"_a = drift.hop_ratio,
      "hop_ratio_interval"_a = py::make_tuple(drift.hop_ratio_low, drift.hop_ratio_high),
      "hop_ratio_then"_a = drift.hop_ratio_then, "train_again"_a = drift.train_again,
      "reason"_a = drift.reason, "helpful"_a = Uses(drift.helpful, name),
      "harmful"_a = Uses(drift.harmful, name));
}

template <class Name>
py::object Walk(const GraphWalk& walk, const Name& name) {
  py::list found, vertices;
  for (const std::uint64_t label : walk.found) found.append(name(label));
  for (const WalkStep& step : walk.steps) {
    vertices.append(Class("WalkStep")("id"_a = name(step.label), "score"_a = step.score,
                                      "origin"_a = step.origin, "learned"_a = step.learned,
                                      "led"_a = step.led));
  }
  return Class("GraphWalk")("hops"_a = walk.steps.size(),
                            "distance_computations"_a = walk.distance_computations, "recall"_a = walk.recall,
                            "found"_a = found, "vertices"_a = vertices);
}

template <class Name>
py::object Untaught(const WalkTrace& trace, const Name& name) {
  return trace.untaught ? Walk(*trace.untaught, name) : py::none();
}

}  // namespace

py::object AsPython(const GraphDriftReport& report) { return Drift(report, Label()); }

py::object AsPython(const WalkTrace& trace) {
  return Class("WalkTrace")("walk"_a = Walk(trace.walk, Label()), "untaught"_a = Untaught(trace, Label()));
}

py::object AsPython(const std::vector<SegmentDrift>& graphs) {
  py::list list;
  for (const SegmentDrift& graph : graphs) {
    list.append(Class("SegmentDrift")("space"_a = graph.space, "partition"_a = graph.partition,
                                      "drift"_a = Drift(graph.drift, DocumentId{graph.ids})));
  }
  return list;
}

py::object AsPython(const std::vector<SegmentWalk>& graphs) {
  py::list list;
  for (const SegmentWalk& graph : graphs) {
    const DocumentId name{graph.ids};
    list.append(Class("SegmentWalk")("space"_a = graph.space, "partition"_a = graph.partition,
                                     "rows"_a = graph.rows, "walk"_a = Walk(graph.trace.walk, name),
                                     "untaught"_a = Untaught(graph.trace, name)));
  }
  return list;
}

}  // namespace trivium::python
