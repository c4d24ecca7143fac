// SPDX-License-Identifier: Apache-2.0
#include "errors.h"

#include <string>

namespace trivium::python {
namespace {

// No default: a code that is not classified here is a warning of the compiler.
const char* ExceptionName(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return "InvalidArgument";
    case absl::StatusCode::kNotFound:
      return "NotFound";
    case absl::StatusCode::kAlreadyExists:
      return "AlreadyExists";
    case absl::StatusCode::kDataLoss:
      return "DataLoss";
    case absl::StatusCode::kUnavailable:
      return "StoreLocked";
    case absl::StatusCode::kResourceExhausted:
      return "ResourceExhausted";
    case absl::StatusCode::kFailedPrecondition:
      return "FailedPrecondition";
    case absl::StatusCode::kPermissionDenied:
      return "PermissionDenied";
    case absl::StatusCode::kCancelled:
      return "Cancelled";
    case absl::StatusCode::kDeadlineExceeded:
      return "DeadlineExceeded";
    case absl::StatusCode::kOk:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kDoNotUseReservedForFutureExpansionUseDefaultInSwitchInstead_:
      return "TriviumError";
  }
  return "TriviumError";
}

}  // namespace

void Raise(const absl::Status& status, py::object cause) {
  const py::object type = py::module_::import("trivium.errors").attr(ExceptionName(status.code()));
  const absl::string_view message = status.message();
  // A message may quote bytes that are not UTF-8.
  const py::object text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(message.data(), static_cast<Py_ssize_t>(message.size()), "replace"));
  const py::object exception = type(text);
  if (cause) PyException_SetCause(exception.ptr(), cause.release().ptr());
  PyErr_SetObject(type.ptr(), exception.ptr());
  throw py::error_already_set();
}

void RaiseInvalid(const std::string& message) { Raise(absl::InvalidArgumentError(message)); }

}  // namespace trivium::python
