// SPDX-License-Identifier: Apache-2.0
// Trees as the dataclasses of trivium/tree_reports.py and trivium/reports.py.
#include <pybind11/stl.h>

#include "results.h"

namespace trivium::python {
namespace {

using namespace pybind11::literals;

py::object Class(const char* name) { return py::module_::import("trivium.tree_reports").attr(name); }

py::object Cells(const std::optional<CellReport>& cells) {
  if (!cells) return py::none();
  py::list routers;
  for (const CellRouterReport& router : cells->routers) {
    routers.append(Class("CellRouterReport")(
        "router"_a = router.router, "scanned"_a = router.scanned, "products"_a = router.products,
        "ratio"_a = router.ratio, "ratio_interval"_a = py::make_tuple(router.ratio_low, router.ratio_high),
        "rows_ratio"_a = router.rows_ratio));
  }
  return Class("CellReport")("cells"_a = cells->cells, "used_cells"_a = cells->used_cells,
                             "largest_cell"_a = cells->largest_cell, "mean_cell"_a = cells->mean_cell,
                             "validation_queries"_a = cells->validation_queries, "router"_a = cells->router,
                             "routers"_a = routers);
}

py::object Node(const TreeNode& node) {
  py::list terms, typical;
  for (const TreeTerm& term : node.terms) {
    terms.append(Class("TreeTerm")("term"_a = term.term, "score"_a = term.score));
  }
  for (const TreeDocument& document : node.typical) {
    typical.append(Class("TreeDocument")("id"_a = document.id, "partition"_a = document.partition,
                                         "probability"_a = document.probability));
  }
  return Class("TreeNode")("node"_a = node.node, "level"_a = node.level, "documents"_a = node.documents,
                           "greedy"_a = node.greedy, "balance"_a = node.balance,
                           "split_entropy"_a = node.split_entropy, "partition"_a = node.partition,
                           "purity"_a = node.purity, "terms"_a = terms, "typical"_a = typical);
}

}  // namespace

py::list AsPython(const std::vector<TreeLevel>& levels) {
  const py::object level_class = py::module_::import("trivium.reports").attr("TreeLevel");
  py::list list;
  for (const TreeLevel& level : levels) {
    list.append(level_class("level"_a = level.level, "overlap"_a = level.overlap,
                            "untrained"_a = level.untrained, "entropy"_a = level.entropy,
                            "bytes_per_document"_a = level.bytes_per_document));
  }
  return list;
}

py::object AsPython(const TrainTreeReport& report) {
  py::list spaces;
  for (const TrainedSpaceTree& space : report.spaces) {
    spaces.append(Class("TrainedSpaceTree")(
        "space"_a = space.space, "documents"_a = space.documents, "queries"_a = space.queries,
        "judged"_a = space.judged, "depth"_a = space.depth, "steps"_a = space.steps,
        "levels"_a = AsPython(space.levels), "cells"_a = Cells(space.cells), "enabled"_a = space.enabled,
        "reason"_a = space.reason, "seconds"_a = space.seconds));
  }
  return Class("TrainTreeReport")("use"_a = std::string(TreeUseName(report.use)), "spaces"_a = spaces,
                                  "unknown_judgements"_a = report.unknown_judgements,
                                  "seconds"_a = report.seconds);
}

py::object AsPython(const TreeInspection& tree, bool with_document) {
  py::list nodes, path;
  for (const TreeNode& node : tree.nodes) nodes.append(Node(node));
  for (const TreeStep& step : tree.path) {
    const py::object document = with_document ? py::object(py::float_(step.document)) : py::none();
    path.append(Class("TreeStep")("node"_a = step.node, "probability"_a = step.probability,
                                  "document"_a = document, "left"_a = step.left));
  }
  return Class("TreeInspection")("space"_a = tree.space, "depth"_a = tree.depth,
                                 "documents"_a = tree.documents, "nodes"_a = nodes, "path"_a = path);
}

}  // namespace trivium::python
