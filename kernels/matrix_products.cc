// SPDX-License-Identifier: Apache-2.0
#include "kernels/matrix_products.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::kernels {
namespace {

constexpr std::size_t kBlock = 256;  // rows transposed at once, rows multiplied at once
// Of the second factor so much is used again and again: it stays in the first cache.
constexpr std::size_t kTileBytes = 20 << 10;

std::size_t TileRows(std::size_t stride) {
  return std::max<std::size_t>(1, kTileBytes / (stride * sizeof(float)));
}

// Floats from one transposed row to the next: a power of two would let them share few places of the caches.
constexpr std::size_t kBlockStride = kBlock + 16;

// `transposed` row j holds column j of `count` rows: chosen[first + i], or first + i where none are chosen.
void TransposeRows(base::MatrixView rows, std::span<const std::uint32_t> chosen, std::size_t first,
                   std::size_t count, float* transposed) {
  constexpr std::size_t kColumns = 16;  // a cache line of a row
  for (std::size_t j = 0; j < rows.columns; j += kColumns) {
    const std::size_t width = std::min(kColumns, rows.columns - j);
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = rows.row(chosen.empty() ? first + i : chosen[first + i]) + j;
      for (std::size_t k = 0; k < width; ++k) transposed[(j + k) * kBlockStride + i] = row[k];
    }
  }
}

struct Workspace {
  std::vector<float> a, b, products;
  base::AlignedMatrix sum;
};

}  // namespace

void MultiplyByTransposed(base::MatrixView a, base::MatrixView b, int thread_count,
                          base::AlignedMatrix* out) {
  const auto product = ActiveDistances().inner_product_f32_rows;
  if (a.rows == 0 || b.rows == 0) return;
  const std::size_t tile = TileRows(b.stride);
  base::ParallelFor((a.rows + kBlock - 1) / kBlock, thread_count, 1, [&](std::size_t block, int) {
    const std::size_t end = std::min(a.rows, (block + 1) * kBlock);
    for (std::size_t j = 0; j < b.rows; j += tile) {
      for (std::size_t i = block * kBlock; i < end; ++i) {
        product(a.row(i), b.row(j), b.stride, std::min(tile, b.rows - j), a.columns, out->row(i) + j);
      }
    }
  });
}

void AddTransposedProduct(base::MatrixView a, base::MatrixView b, std::span<const std::uint32_t> rows_of_b,
                          int thread_count, base::AlignedMatrix* out) {
  const auto product = ActiveDistances().inner_product_f32_rows;
  const std::size_t tile = TileRows(kBlockStride);
  const std::size_t blocks = (a.rows + kBlock - 1) / kBlock;
  std::vector<Workspace> workspaces(thread_count);
  for (Workspace& work : workspaces) {
    work.a.resize(a.columns * kBlockStride);
    work.b.resize(b.columns * kBlockStride);
    work.products.resize(b.columns);
    work.sum = base::AlignedMatrix(a.columns, b.columns);
  }
  base::ParallelFor(blocks, thread_count, 1, [&](std::size_t block, int thread) {
    Workspace& work = workspaces[thread];
    const std::size_t first = block * kBlock;
    const std::size_t count = std::min(kBlock, a.rows - first);
    TransposeRows(a, {}, first, count, work.a.data());
    TransposeRows(b, rows_of_b, first, count, work.b.data());
    for (std::size_t j = 0; j < b.columns; j += tile) {
      const std::size_t width = std::min(tile, b.columns - j);
      for (std::size_t i = 0; i < a.columns; ++i) {
        product(&work.a[i * kBlockStride], &work.b[j * kBlockStride], kBlockStride, width, count,
                work.products.data());
        float* sum = work.sum.row(i) + j;
        for (std::size_t k = 0; k < width; ++k) sum[k] += work.products[k];
      }
    }
  });
  for (Workspace& work : workspaces) {
    for (std::size_t i = 0; i < a.columns; ++i) {
      for (std::size_t j = 0; j < b.columns; ++j) out->row(i)[j] += work.sum.row(i)[j];
    }
  }
}

}  // namespace trivium::kernels
