// SPDX-License-Identifier: Apache-2.0
#include "index/row_distances.h"

#include <algorithm>
#include <limits>

namespace trivium::index {
namespace {

// Integer sums wait here before they become distances.
constexpr std::size_t kProducts = 64;

template <class T>
const T* As(const std::byte* row) {
  return reinterpret_cast<const T*>(row);
}

}  // namespace

RowDistances::RowDistances(const RowsView& rows, base::Metric metric)
    : table_(kernels::ActiveDistances()), rows_(rows), inner_product_(base::UsesInnerProduct(metric)) {}

void RowDistances::Gather(const RowQuery& query, const std::uint32_t* ids, std::size_t count,
                          float* out) const {
  const std::size_t columns = rows_.columns;
  switch (rows_.format) {
    case RowFormat::kFloat32: {
      const auto gather = inner_product_ ? table_.inner_product_f32_gather : table_.squared_l2_f32_gather;
      gather(query.values, As<float>(rows_.data), rows_.stride_bytes / sizeof(float), ids, count, columns,
             out);
      return Finish(count, out);
    }
    case RowFormat::kFloat16: {
      const auto gather = inner_product_ ? table_.inner_product_f16_gather : table_.squared_l2_f16_gather;
      gather(query.values, As<kernels::Half>(rows_.data), rows_.stride_bytes / sizeof(kernels::Half), ids,
             count, columns, out);
      return Finish(count, out);
    }
    case RowFormat::kInt8:
      for (std::size_t done = 0; done < count; done += kProducts) {
        std::int32_t products[kProducts];
        const std::size_t some = std::min(kProducts, count - done);
        table_.inner_product_i16_i8_gather(query.words, As<std::int8_t>(rows_.data), rows_.stride_bytes,
                                           ids + done, some, columns, products);
        for (std::size_t i = 0; i < some; ++i) out[done + i] = FromProduct(query, ids[done + i], products[i]);
      }
  }
}

void RowDistances::Block(const RowQuery& query, std::size_t first, std::size_t count, float* out) const {
  const std::size_t columns = rows_.columns;
  const std::byte* rows = rows_.row(first);
  switch (rows_.format) {
    case RowFormat::kFloat32: {
      const auto block = inner_product_ ? table_.inner_product_f32_rows : table_.squared_l2_f32_rows;
      block(query.values, As<float>(rows), rows_.stride_bytes / sizeof(float), count, columns, out);
      return Finish(count, out);
    }
    case RowFormat::kFloat16: {
      const auto block = inner_product_ ? table_.inner_product_f16_rows : table_.squared_l2_f16_rows;
      block(query.values, As<kernels::Half>(rows), rows_.stride_bytes / sizeof(kernels::Half), count, columns,
            out);
      return Finish(count, out);
    }
    case RowFormat::kInt8:
      for (std::size_t done = 0; done < count; done += kProducts) {
        std::int32_t products[kProducts];
        const std::size_t some = std::min(kProducts, count - done);
        table_.inner_product_i16_i8_rows(query.words, As<std::int8_t>(rows + done * rows_.stride_bytes),
                                         rows_.stride_bytes, some, columns, products);
        for (std::size_t i = 0; i < some; ++i)
          out[done + i] = FromProduct(query, first + done + i, products[i]);
      }
  }
}

void RowDistances::Finish(std::size_t count, float* out) const {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // std::min returns its first argument where the second is NaN.
  if (inner_product_) {
    for (std::size_t i = 0; i < count; ++i) out[i] = std::min(kInfinity, -out[i]);
  } else {
    for (std::size_t i = 0; i < count; ++i) out[i] = std::min(kInfinity, out[i]);
  }
}

float RowDistances::FromProduct(const RowQuery& query, std::size_t row, std::int32_t product) const {
  const float inner = rows_.scales[row] * query.word_scale * static_cast<float>(product);
  const float distance = inner_product_
                             ? -inner
                             : std::max(0.0f, query.squared_norm + (rows_.squared_norms[row] - 2.0f * inner));
  return std::min(std::numeric_limits<float>::infinity(), distance);
}

}  // namespace trivium::index
