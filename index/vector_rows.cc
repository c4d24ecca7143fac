// SPDX-License-Identifier: Apache-2.0
#include "index/vector_rows.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/largest_size.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

constexpr float kLargestByte = 127.0f;

absl::Status CheckRange(base::MatrixView rows) {
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const float largest = LargestSize(rows.row(i), rows.columns);
    if (largest > kLargestFloat16) {
      return absl::InvalidArgumentError(absl::StrCat("vector, row ", i, ": a component of size ", largest,
                                                     ", expected at most ", kLargestFloat16,
                                                     " for the profile balanced"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

VectorRows::VectorRows(std::size_t dimension, RowFormat format, base::Metric metric)
    : keeps_norms_(format == RowFormat::kInt8 && !base::UsesInnerProduct(metric)) {
  view_.format = format;
  view_.columns = dimension;
  view_.stride_bytes = RowStrideBytes(format, dimension);
}

VectorRows::VectorRows(RowsView view, std::shared_ptr<const void> owner)
    : keeps_norms_(view.squared_norms != nullptr), view_(view), owner_(std::move(owner)) {}

void VectorRows::Reserve(std::size_t size) {
  const std::size_t stride = RowStrideBytes(view_.format, view_.columns);
  if (owner_ == nullptr && size * stride <= owned_.size()) return;
  // What may throw comes first: until `owned_` has grown the view stays right.
  if (owner_ != nullptr && view_.scales != nullptr) scales_.assign(view_.scales, view_.scales + view_.rows);
  if (owner_ != nullptr && view_.squared_norms != nullptr) {
    squared_norms_.assign(view_.squared_norms, view_.squared_norms + view_.rows);
  }
  if (view_.format == RowFormat::kInt8) scales_.reserve(size);
  if (keeps_norms_) squared_norms_.reserve(size);
  owned_.Grow(owner_ == nullptr ? view_.rows * stride : 0, size * stride);
  const std::size_t row_bytes = std::min(stride, view_.stride_bytes);
  for (std::size_t i = 0; owner_ != nullptr && i < view_.rows; ++i) {
    std::memcpy(owned_.data() + i * stride, view_.row(i), row_bytes);
  }
  owner_.reset();
  view_.stride_bytes = stride;
  UpdateView(view_.rows);
}

absl::Status VectorRows::Append(base::MatrixView rows) {
  if (view_.format == RowFormat::kFloat16) {
    if (absl::Status status = CheckRange(rows); !status.ok()) return status;
  }
  const std::size_t first = view_.rows, size = first + rows.rows;
  const std::size_t room = owned_.size() / view_.stride_bytes;
  // By half, so that appending is O(1) amortised; the first rows get what they need.
  if (owner_ != nullptr || size > room) Reserve(first == 0 ? size : std::max(size, first + first / 2));
  if (view_.format == RowFormat::kInt8) scales_.resize(size);
  if (keeps_norms_) squared_norms_.resize(size);
  for (std::size_t i = 0; i < rows.rows; ++i) Encode(first + i, rows.row(i));
  UpdateView(size);
  return absl::OkStatus();
}

void VectorRows::AppendEncoded(const RowsView& from, std::size_t i) {
  assert(from.format == view_.format && from.columns == view_.columns);
  const std::size_t at = view_.rows;
  if (owner_ != nullptr || (at + 1) * view_.stride_bytes > owned_.size()) Reserve(at + at / 2 + 1);
  std::memcpy(owned_.data() + at * view_.stride_bytes, from.row(i),
              std::min(view_.stride_bytes, from.stride_bytes));
  if (from.scales != nullptr) scales_.push_back(from.scales[i]);
  if (from.squared_norms != nullptr) squared_norms_.push_back(from.squared_norms[i]);
  UpdateView(at + 1);
}

void VectorRows::Encode(std::size_t at, const float* row) {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  const std::size_t columns = view_.columns;
  std::uint8_t* to = owned_.data() + at * view_.stride_bytes;
  switch (view_.format) {
    case RowFormat::kFloat32:
      std::memcpy(to, row, columns * sizeof(float));
      break;
    case RowFormat::kFloat16:
      table.f16_from_f32(row, columns, reinterpret_cast<kernels::Half*>(to));
      break;
    case RowFormat::kInt8: {
      const float largest = LargestSize(row, columns);
      const float factor = kLargestByte / largest;
      const bool zero = !std::isfinite(factor);  // also of components too small to be told from it
      auto* codes = reinterpret_cast<std::int8_t*>(to);
      for (std::size_t j = 0; j < columns; ++j) {
        codes[j] = zero ? std::int8_t{0} : static_cast<std::int8_t>(std::lrintf(row[j] * factor));
      }
      scales_[at] = zero ? 0.0f : largest / kLargestByte;
      if (!keeps_norms_) break;
      double squares = 0;
      for (std::size_t j = 0; j < columns; ++j) squares += static_cast<double>(codes[j]) * codes[j];
      squared_norms_[at] = static_cast<float>(squares * scales_[at] * scales_[at]);
      break;
    }
  }
}

void VectorRows::UpdateView(std::size_t size) {
  view_.rows = size;
  view_.data = reinterpret_cast<const std::byte*>(owned_.data());
  view_.scales = view_.format == RowFormat::kInt8 ? scales_.data() : nullptr;
  view_.squared_norms = keeps_norms_ ? squared_norms_.data() : nullptr;
}

}  // namespace trivium::index
