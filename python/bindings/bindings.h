// SPDX-License-Identifier: Apache-2.0
// The extension module trivium._trivium: the public C++ API as Python objects.
//
// bindings/ converts arguments and results, releases the GIL around the engine and turns statuses into
// exceptions. It includes public headers only. What is easier to say in Python (signatures, defaults,
// progress bars, async twins) is said in ../trivium/*.py.
#pragma once

#include <pybind11/pybind11.h>

namespace trivium::python {

namespace py = pybind11;

void BindRoute(py::module_& module);
void BindOptions(py::module_& module);
void BindResults(py::module_& module);
void BindQuerySet(py::module_& module);
void BindStore(py::module_& module);
void BindVectorIndex(py::module_& module);

}  // namespace trivium::python
