// SPDX-License-Identifier: Apache-2.0
#include "engine_call.h"

#include <optional>

namespace trivium::python {
namespace {

// Empty outside of a call, so that no thread ends holding an object without the GIL.
thread_local CallbackError current_error;
// Calls of this thread that are under way: none in the engine's own threads, whose errors only a status
// tells.
thread_local int calls = 0;

}  // namespace

void KeepCallbackError(py::error_already_set& error, bool is_cause) {
  if (calls == 0 || current_error.exception) return;
  current_error = {error.value(), is_cause};
}

EngineCall::EngineCall() : outer_(std::exchange(current_error, {})) { ++calls; }

EngineCall::~EngineCall() {
  --calls;
  current_error = std::move(outer_);
}

void EngineCall::Finish(const absl::Status& status) {
  CallbackError error = std::exchange(current_error, {});
  if (error.exception && !(error.is_cause && !status.ok())) {
    if (error.is_cause) return;  // the engine coped with it
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.exception.ptr())), error.exception.ptr());
    throw py::error_already_set();
  }
  if (!status.ok()) Raise(status, std::move(error.exception));
}

void Progress::Report(std::string_view stage, std::uint64_t done, std::uint64_t total) {
  if (cancelled_.load(std::memory_order_relaxed)) return;
  py::gil_scoped_acquire acquire;
  try {
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    if (!callback_.is_none()) callback_(py::str(stage.data(), stage.size()), done, total);
  } catch (py::error_already_set& error) {
    KeepCallbackError(error, /*is_cause=*/false);
    cancelled_.store(true, std::memory_order_relaxed);
  }
}

}  // namespace trivium::python
