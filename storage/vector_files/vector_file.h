// SPDX-License-Identifier: Apache-2.0
// Reads matrices of vectors that other tools wrote, a range of rows at a time:
//   .npy    NumPy, C order, '<f4' or '<f2', two dimensions
//   .fvecs  per row: int32 dimension, then float32 values
//   .fbin   uint32 rows, uint32 dimension, then float32 values
// Everything in the header is checked against the file's length before it is believed.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace trivium::storage {

class VectorFile {
 public:
  virtual ~VectorFile() = default;
  virtual std::size_t rows() const = 0;
  virtual std::size_t columns() const = 0;
  // Reads rows [first, first + count) as float32 into `out` (count x columns, row-major).
  virtual absl::Status Read(std::size_t first, std::size_t count, float* out) = 0;
};

// The format is told by the extension. kNotFound, kInvalidArgument (names file, what was seen and expected).
absl::StatusOr<std::unique_ptr<VectorFile>> OpenVectorFile(const std::string& path);

}  // namespace trivium::storage
