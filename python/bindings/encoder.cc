// SPDX-License-Identifier: Apache-2.0
#include "encoder.h"

#include <pybind11/numpy.h>

#include <algorithm>
#include <utility>

#include "engine_call.h"

namespace trivium::python {
PythonEncoder::PythonEncoder(std::string name, py::object callable)
    : name_(std::move(name)), callable_(std::move(callable)) {
  const py::object dimension = py::getattr(callable_, "dimension", py::none());
  if (py::isinstance<py::int_>(dimension)) dimension_ = dimension.cast<std::size_t>();
}

PythonEncoder::~PythonEncoder() {
  py::gil_scoped_acquire acquire;
  callable_ = py::object();
}

void PythonEncoder::SetDimensionIfUnknown(std::size_t dimension) {
  std::size_t unknown = 0;
  dimension_.compare_exchange_strong(unknown, dimension);
}

// Read anew each time: an encoder that loads its model on first use may not know it before.
std::string PythonEncoder::fingerprint() const {
  py::gil_scoped_acquire acquire;
  try {
    const py::object fingerprint = py::getattr(callable_, "fingerprint", py::none());
    return py::isinstance<py::str>(fingerprint) ? fingerprint.cast<std::string>() : "";
  } catch (py::error_already_set&) {
    return "";  // Encode reports what is wrong with it
  }
}

absl::Status PythonEncoder::Encode(absl::Span<const std::string> texts, TextKind kind, float* out) {
  py::gil_scoped_acquire acquire;
  try {
    return CheckedEncode(texts, kind, out);
  } catch (py::error_already_set& error) {
    const bool is_failure = error.matches(PyExc_Exception);  // not KeyboardInterrupt and the like
    KeepCallbackError(error, /*is_cause=*/is_failure);
    const std::string type = py::str(error.type().attr("__name__")).cast<std::string>();
    const std::string message = py::str(error.value()).cast<std::string>();
    if (!is_failure) return absl::CancelledError("encoder '" + name_ + "': " + type);
    return absl::UnknownError("encoder '" + name_ + "': raised " + type + ": " + message +
                              ", expected vectors");
  }
}

absl::Status PythonEncoder::CheckedEncode(absl::Span<const std::string> texts, TextKind kind, float* out) {
  py::list list(texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) list[i] = py::str(texts[i]);
  const py::object answer = callable_(list, kind == TextKind::kQuery ? "query" : "document");
  const py::array array = py::module_::import("numpy").attr("asarray")(answer).cast<py::array>();
  const std::size_t columns = dimension_;
  const bool shaped = array.ndim() == 2 && static_cast<std::size_t>(array.shape(0)) == texts.size() &&
                      static_cast<std::size_t>(array.shape(1)) == columns;
  if (!shaped || array.dtype().kind() != 'f') {
    return absl::InvalidArgumentError(
        "encoder '" + name_ + "': " + py::str(static_cast<py::object>(array.dtype())).cast<std::string>() +
        " array of shape " + py::str(array.attr("shape")).cast<std::string>() +
        ", expected floats of shape (" + std::to_string(texts.size()) + ", " + std::to_string(columns) + ")");
  }
  const py::array_t<float, py::array::c_style | py::array::forcecast> floats{py::object(array)};
  std::copy_n(floats.data(), texts.size() * columns, out);
  return absl::OkStatus();
}

}  // namespace trivium::python
