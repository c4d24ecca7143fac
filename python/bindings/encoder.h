// SPDX-License-Identifier: Apache-2.0
// A Python callable as the encoder of a space's texts.
#pragma once

#include <pybind11/pybind11.h>

#include <atomic>
#include <string>

#include "trivium/text_encoder.h"

namespace trivium::python {

namespace py = pybind11;

// callable(texts: list[str], kind: "query" | "document") -> array of n x d floats.
//
// The dimension is the callable's attribute `dimension` if it has one, else that of the first space that
// names the encoder. The fingerprint is its attribute `fingerprint`, else empty: texts are then encoded anew
// each time, since nothing says whether the callable is the one of last time. Takes the GIL where it touches
// Python; may be destroyed without it.
class PythonEncoder : public TextEncoder {
 public:
  // REQUIRES: the GIL.
  PythonEncoder(std::string name, py::object callable);
  ~PythonEncoder() override;

  std::size_t dimension() const override { return dimension_; }
  void SetDimensionIfUnknown(std::size_t dimension);
  std::string fingerprint() const override;
  absl::Status Encode(absl::Span<const std::string> texts, TextKind kind, float* out) override;

 private:
  absl::Status CheckedEncode(absl::Span<const std::string> texts, TextKind kind, float* out);

  const std::string name_;
  py::object callable_;
  std::atomic<std::size_t> dimension_ = 0;
};

}  // namespace trivium::python
