// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"
#include "trivium/types.h"

PYBIND11_MODULE(_trivium, module) {
  namespace py = pybind11;
  module.doc() = "The engine. Use the package `trivium`, which wraps this module.";
  trivium::python::BindRoute(module);
  trivium::python::BindOptions(module);
  trivium::python::BindResults(module);
  trivium::python::BindQuerySet(module);
  trivium::python::BindStore(module);
  trivium::python::BindVectorIndex(module);
  module.def("version", [] { return std::string(trivium::Version()); });
  module.def("kernel_name", [] { return std::string(trivium::KernelName()); });
}
