// SPDX-License-Identifier: Apache-2.0
#include "index/rows_view.h"

#include <cstring>

#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t ElementBytes(RowFormat format) {
  switch (format) {
    case RowFormat::kFloat32:
      return sizeof(float);
    case RowFormat::kFloat16:
      return sizeof(kernels::Half);
    case RowFormat::kInt8:
      break;
  }
  return 1;
}

}  // namespace

std::size_t RowBytes(RowFormat format, std::size_t columns) { return columns * ElementBytes(format); }

std::size_t RowStrideBytes(RowFormat format, std::size_t columns) {
  return (RowBytes(format, columns) + kAlignment - 1) / kAlignment * kAlignment;
}

void RowsView::CopyRow(std::size_t i, float* out) const {
  switch (format) {
    case RowFormat::kFloat32:
      std::memcpy(out, row(i), columns * sizeof(float));
      break;
    case RowFormat::kFloat16:
      kernels::ActiveDistances().f32_from_f16(reinterpret_cast<const kernels::Half*>(row(i)), columns, out);
      break;
    case RowFormat::kInt8: {
      const auto* codes = reinterpret_cast<const std::int8_t*>(row(i));
      for (std::size_t j = 0; j < columns; ++j) out[j] = scales[i] * static_cast<float>(codes[j]);
      break;
    }
  }
}

std::size_t RowsView::bytes_per_row() const {
  const std::size_t factors = (scales != nullptr ? 1 : 0) + (squared_norms != nullptr ? 1 : 0);
  return stride_bytes + factors * sizeof(float);
}

}  // namespace trivium::index
