// SPDX-License-Identifier: Apache-2.0
// An owned row-major matrix of float32. Rows start on 64-byte boundaries and are padded with zeros, so a
// kernel may read whole vectors up to `stride()` without changing an inner product or a squared distance.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/huge_bytes.h"
#include "base/matrix_view.h"

namespace trivium::base {

inline constexpr std::size_t kRowAlignmentBytes = 64;

// Floats from one padded row to the next.
inline constexpr std::size_t PaddedStride(std::size_t columns) {
  constexpr std::size_t kFloats = kRowAlignmentBytes / sizeof(float);
  return (columns + kFloats - 1) / kFloats * kFloats;
}

class AlignedMatrix {
 public:
  AlignedMatrix() = default;
  explicit AlignedMatrix(std::size_t columns) : columns_(columns), stride_(PaddedStride(columns)) {}
  AlignedMatrix(std::size_t rows, std::size_t columns) : AlignedMatrix(columns) { Resize(rows); }

  AlignedMatrix(AlignedMatrix&& other) noexcept { *this = std::move(other); }
  AlignedMatrix& operator=(AlignedMatrix&& other) noexcept {
    memory_ = std::move(other.memory_);
    rows_ = std::exchange(other.rows_, 0);
    columns_ = other.columns_;
    stride_ = other.stride_;
    return *this;
  }

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  std::size_t stride() const { return stride_; }
  float* row(std::size_t i) { return reinterpret_cast<float*>(memory_.data()) + i * stride_; }
  const float* row(std::size_t i) const {
    return reinterpret_cast<const float*>(memory_.data()) + i * stride_;
  }
  MatrixView view() const { return MatrixView(row(0), rows_, columns_, stride_); }

  void Reserve(std::size_t rows) {
    if (rows > capacity()) memory_.Grow(rows_ * stride_ * sizeof(float), rows * stride_ * sizeof(float));
  }

  // New rows are zero. Growth is by half, so appending is O(1) amortised.
  void Resize(std::size_t rows) {
    if (rows > capacity()) Reserve(rows_ == 0 ? rows : std::max(rows, capacity() + capacity() / 2));
    if (rows < rows_) std::memset(row(rows), 0, (rows_ - rows) * stride_ * sizeof(float));
    rows_ = rows;
  }

  // `values` holds columns() floats.
  void Append(const float* values) {
    Resize(rows_ + 1);
    std::memcpy(row(rows_ - 1), values, columns_ * sizeof(float));
  }

 private:
  std::size_t capacity() const {
    return memory_.size() == 0 ? 0 : memory_.size() / (stride_ * sizeof(float));
  }

  HugeBytes memory_;  // zero behind the rows
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::size_t stride_ = 0;
};

}  // namespace trivium::base
