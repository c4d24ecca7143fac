// SPDX-License-Identifier: Apache-2.0
// One row per expert: the state of mean_pilot and linear, written, read and shortened.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/aligned_matrix.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

// The rows without their padding.
inline void PutMatrix(const base::AlignedMatrix& matrix, storage::ByteWriter* writer) {
  for (std::size_t i = 0; i < matrix.rows(); ++i) writer->PutArray(matrix.row(i), matrix.columns());
}

// False where `reader` does not hold rows x columns floats; allocates nothing then.
inline bool ReadMatrix(std::uint64_t rows, std::uint64_t columns, storage::ByteReader* reader,
                       base::AlignedMatrix* matrix) {
  if (!reader->ok() || (rows > 0 && columns > reader->remaining() / sizeof(float) / rows)) return false;
  const std::vector<float> values = reader->ReadArray<float>(rows * columns);
  *matrix = base::AlignedMatrix(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(values.begin() + i * columns, columns, matrix->row(i));
  return true;
}

inline void RemoveRow(std::size_t removed, base::AlignedMatrix* matrix) {
  for (std::size_t i = removed; i + 1 < matrix->rows(); ++i) {
    std::memcpy(matrix->row(i), matrix->row(i + 1), matrix->columns() * sizeof(float));
  }
  matrix->Resize(matrix->rows() - 1);
}

}  // namespace trivium::routing
