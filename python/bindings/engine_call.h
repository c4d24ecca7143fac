// SPDX-License-Identifier: Apache-2.0
// A call of the engine from Python: without the GIL, with callbacks that may raise.
//
// The engine's callbacks return no exceptions. What a Python callback raises is kept here for the thread and
// raised when the engine has returned.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "errors.h"
#include "trivium/types.h"

namespace trivium::python {

namespace py = pybind11;

// What a callback raised on this thread during the current engine call.
struct CallbackError {
  py::object exception;   // null: nothing was raised
  bool is_cause = false;  // the engine reports a status of its own, which this explains (an encoder failed)
};

// Keeps the first one of this thread's call. A thread of the engine's own is in none: there the status alone
// tells what was raised. REQUIRES: the GIL.
void KeepCallbackError(py::error_already_set& error, bool is_cause);

// While it lives, this thread is in a call of the engine; calls may nest (a callback may use the engine).
class EngineCall {
 public:
  EngineCall();
  ~EngineCall();
  EngineCall(const EngineCall&) = delete;
  EngineCall& operator=(const EngineCall&) = delete;

  // Raises what a callback raised, else `status` if it is not OK.
  void Finish(const absl::Status& status);

 private:
  CallbackError outer_;
};

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <class T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}
inline void ValueOf(absl::Status) {}
template <class T>
T ValueOf(absl::StatusOr<T> result) {
  return *std::move(result);
}

// Runs `work`, which returns a Status or a StatusOr and touches no Python object, without the GIL.
template <class Work>
auto CallEngine(Work work) {
  EngineCall call;
  auto result = [&] {
    py::gil_scoped_release release;
    return work();
  }();
  call.Finish(StatusOf(result));
  return ValueOf(std::move(result));
}

// A Python callable as the engine's progress callback, which also notices Ctrl-C. Cancels the call when
// either raises. Must outlive the call.
class Progress {
 public:
  explicit Progress(py::object callback) : callback_(std::move(callback)) {}

  ProgressCallback function() {
    return [this](std::string_view stage, std::uint64_t done, std::uint64_t total) {
      Report(stage, done, total);
    };
  }
  const std::atomic<bool>* cancelled() const { return &cancelled_; }

 private:
  void Report(std::string_view stage, std::uint64_t done, std::uint64_t total);

  py::object callback_;  // callable(stage, done, total) or None
  std::atomic<bool> cancelled_ = false;
};

}  // namespace trivium::python
