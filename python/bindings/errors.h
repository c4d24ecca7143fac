// SPDX-License-Identifier: Apache-2.0
// Statuses of the engine as Python exceptions (trivium/errors.py), by one table.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::python {

namespace py = pybind11;

// Raises `status`, which is not OK, as the exception of its code. `cause`, if not null, becomes its
// __cause__.
[[noreturn]] void Raise(const absl::Status& status, py::object cause = {});

// Raises InvalidArgument. Messages read `<what>: <value seen>, expected <...>`.
[[noreturn]] void RaiseInvalid(const std::string& message);

inline void Check(const absl::Status& status) {
  if (!status.ok()) Raise(status);
}

template <class T>
T Check(absl::StatusOr<T> result) {
  Check(result.status());
  return *std::move(result);
}

}  // namespace trivium::python
