// SPDX-License-Identifier: Apache-2.0
// Borrowed rows in one of the formats an index can store them in. The owner must outlive the view.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/matrix_view.h"

namespace trivium::index {

// Values are stored in files.
enum class RowFormat : std::uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,  // IEEE binary16: relative error 2^-11, components up to 65,504
  kInt8 = 2,     // scale of the row times -127 to 127: error up to its largest component / 254
};

// The largest size of a component in kFloat16.
inline constexpr float kLargestFloat16 = 65504.0f;

// Bytes of the components of one row.
std::size_t RowBytes(RowFormat format, std::size_t columns);
// Bytes from one row to the next: rows start on 64-byte boundaries, the rest of a row is zero.
std::size_t RowStrideBytes(RowFormat format, std::size_t columns);

struct RowsView {
  RowFormat format = RowFormat::kFloat32;
  const std::byte* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride_bytes = 0;
  const float* scales = nullptr;         // kInt8: of each row
  const float* squared_norms = nullptr;  // kInt8, where squared distances are asked for: of each decoded row

  RowsView() = default;
  RowsView(base::MatrixView rows)  // NOLINT(google-explicit-constructor): the plain case
      : data(reinterpret_cast<const std::byte*>(rows.data)),
        rows(rows.rows),
        columns(rows.columns),
        stride_bytes(rows.stride * sizeof(float)) {}

  const std::byte* row(std::size_t i) const { return data + i * stride_bytes; }
  // Only of kFloat32.
  base::MatrixView floats() const {
    assert(format == RowFormat::kFloat32);
    return base::MatrixView(reinterpret_cast<const float*>(data), rows, columns,
                            stride_bytes / sizeof(float));
  }
  // Decodes row i into `columns` floats.
  void CopyRow(std::size_t i, float* out) const;
  // Bytes of a row with its padding and factors: what it takes, and what a distance reads.
  std::size_t bytes_per_row() const;
  std::size_t bytes() const { return rows * bytes_per_row(); }
  RowsView First(std::size_t count) const {
    RowsView first = *this;
    first.rows = count;
    return first;
  }
  // Row i as floats: itself, or decoded into `memory`, of `columns` floats.
  const float* Decoded(std::size_t i, float* memory) const {
    if (format == RowFormat::kFloat32) return reinterpret_cast<const float*>(row(i));
    CopyRow(i, memory);
    return memory;
  }
};

}  // namespace trivium::index
