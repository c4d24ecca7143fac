// SPDX-License-Identifier: Apache-2.0
// Adding and removing a column of a row-major n x E table, as experts come and go.
#pragma once

#include <cstddef>
#include <vector>

namespace trivium::routing {

// `values`: n x columns. The result has one column more, filled with `value`.
inline std::vector<float> WithNewColumn(const std::vector<float>& values, std::size_t rows,
                                        std::size_t columns, float value) {
  std::vector<float> wider;
  wider.reserve(rows * (columns + 1));
  for (std::size_t i = 0; i < rows; ++i) {
    wider.insert(wider.end(), values.begin() + i * columns, values.begin() + (i + 1) * columns);
    wider.push_back(value);
  }
  return wider;
}

// `values`: n x columns; `removed` < columns.
inline std::vector<float> WithoutColumn(const std::vector<float>& values, std::size_t rows,
                                        std::size_t columns, std::size_t removed) {
  std::vector<float> narrower;
  narrower.reserve(rows * (columns - 1));
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t c = 0; c < columns; ++c) {
      if (c != removed) narrower.push_back(values[i * columns + c]);
    }
  }
  return narrower;
}

}  // namespace trivium::routing
