// SPDX-License-Identifier: Apache-2.0
// The rows of an index: owned and growing, or borrowed from a mapped file, read through one view either way.
// Appending to borrowed rows copies them first. Not thread-safe while appending.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::index {

class VectorRows {
 public:
  explicit VectorRows(std::size_t dimension) : owned_(dimension), view_(owned_.view()) {}

  // `owner` keeps the memory behind `view` alive.
  VectorRows(base::MatrixView view, std::shared_ptr<const void> owner)
      : owned_(view.columns), view_(view), owner_(std::move(owner)) {}

  std::size_t size() const { return view_.rows; }
  std::size_t dimension() const { return view_.columns; }
  base::MatrixView view() const { return view_; }
  const float* row(std::size_t i) const { return view_.row(i); }

  // `rows` has dimension() columns and is none of this object's own memory.
  void Append(base::MatrixView rows) {
    if (owner_ != nullptr) {
      owned_.Reserve(view_.rows + rows.rows);
      AppendCopy(view_);
      owner_.reset();
    }
    AppendCopy(rows);
    view_ = owned_.view();
  }

 private:
  void AppendCopy(base::MatrixView rows) {
    std::size_t next = owned_.rows();
    owned_.Resize(next + rows.rows);
    for (std::size_t i = 0; i < rows.rows; ++i, ++next) {
      std::memcpy(owned_.row(next), rows.row(i), rows.columns * sizeof(float));
    }
  }

  base::AlignedMatrix owned_;
  base::MatrixView view_;
  std::shared_ptr<const void> owner_;  // null: view_ shows owned_
};

}  // namespace trivium::index
