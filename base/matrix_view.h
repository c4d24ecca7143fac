// SPDX-License-Identifier: Apache-2.0
// A borrowed row-major matrix of float32. The owner must outlive the view.
#pragma once

#include <cstddef>

namespace trivium::base {

struct MatrixView {
  const float* data = nullptr;
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  // floats from one row to the next; >= columns

  MatrixView() = default;
  MatrixView(const float* data, std::size_t rows, std::size_t columns)
      : data(data), rows(rows), columns(columns), stride(columns) {}
  MatrixView(const float* data, std::size_t rows, std::size_t columns, std::size_t stride)
      : data(data), rows(rows), columns(columns), stride(stride) {}

  const float* row(std::size_t i) const { return data + i * stride; }
  MatrixView First(std::size_t count) const { return MatrixView(data, count, columns, stride); }
};

}  // namespace trivium::base
