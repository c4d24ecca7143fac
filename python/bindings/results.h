// SPDX-License-Identifier: Apache-2.0
// What searches return, converted to Python only where it is looked at; and reports as Python dataclasses.
#pragma once

#include <pybind11/pybind11.h>

#include "trivium/feedback.h"
#include "trivium/report.h"
#include "trivium/search_result.h"
#include "trivium/vector_index.h"

namespace trivium::python {

namespace py = pybind11;

// Instances of the dataclasses of trivium/reports.py, trivium/evaluation_reports.py, trivium/graph_reports.py
// and trivium/tree_reports.py.
py::object AsPython(const UpsertReport& report);
py::object AsPython(const BuildReport& report);
py::object AsPython(const CalibrationReport& report);
py::object AsPython(const VectorCalibrationReport& report);
py::object AsPython(const GraphTrainingReport& report);
py::object AsPython(const TrainGraphReport& report);
py::object AsPython(const GraphDriftReport& report);
py::object AsPython(const WalkTrace& trace);
py::object AsPython(const std::vector<SegmentDrift>& graphs);
py::object AsPython(const std::vector<SegmentWalk>& graphs);
py::list AsPython(const std::vector<TreeLevel>& levels);
py::object AsPython(const TrainTreeReport& report);
py::object AsPython(const TreeInspection& tree, bool with_document);
py::object AsPython(const AdapterReport& report);
py::object AsPython(const DispatchReport& report);
py::object AsPython(const FeedbackReport& report);
py::object AsPython(const ComparisonRow& row);
py::object AsPython(const EvaluationReport& report);
py::object AsPython(const StoreInfo& info);
py::object AsPython(const VerifyReport& report);
py::object AsPython(const CompactReport& report);

}  // namespace trivium::python
