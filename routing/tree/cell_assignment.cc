// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kBlockRows = 256;
// Centroids multiplied at once: their products with a block stay in the second cache.
constexpr std::size_t kTile = 512;
// Subtrees looked into. On 160,955 MiniLM vectors in 16,384 cells 8 of 128 find the nearest centroid of 96 %.
constexpr std::size_t kGroupsVisited = 8;

std::vector<float> HalfSquares(base::MatrixView rows) {
  std::vector<float> halves(rows.rows);
  for (std::size_t i = 0; i < rows.rows; ++i) {
    halves[i] = kernels::ActiveDistances().inner_product_f32(rows.row(i), rows.row(i), rows.columns) / 2;
  }
  return halves;
}

std::vector<float> Biases(base::MatrixView centroids, bool cosine) {
  std::vector<float> biases(centroids.rows, 0.0f);
  if (cosine) return biases;
  biases = HalfSquares(centroids);
  for (float& bias : biases) bias = -bias;
  return biases;
}

// The mean of each `size` consecutive rows; of unit length for `unit`.
base::AlignedMatrix GroupMeans(base::MatrixView rows, std::size_t size, bool unit) {
  base::AlignedMatrix means(rows.rows / size, rows.columns);
  for (std::size_t i = 0; i < means.rows(); ++i) {
    float* mean = means.row(i);
    for (std::size_t j = i * size; j < (i + 1) * size; ++j) {
      for (std::size_t c = 0; c < rows.columns; ++c) mean[c] += rows.row(j)[c];
    }
    float scale = 1.0f / static_cast<float>(size);
    if (unit) {
      const float square = kernels::ActiveDistances().inner_product_f32(mean, mean, rows.columns);
      scale = square > 0 ? 1.0f / std::sqrt(square) : 0.0f;
    }
    for (std::size_t c = 0; c < rows.columns; ++c) mean[c] *= scale;
  }
  return means;
}

// Rows first, first + 1, ... as floats: themselves, or decoded into `memory`.
base::MatrixView Floats(const index::RowsView& rows, std::size_t first, std::size_t count,
                        base::AlignedMatrix* memory) {
  if (rows.format == index::RowFormat::kFloat32) {
    return base::MatrixView(rows.floats().row(first), count, rows.columns, rows.floats().stride);
  }
  for (std::size_t i = 0; i < count; ++i) rows.CopyRow(first + i, memory->row(i));
  return base::MatrixView(memory->row(0), count, rows.columns, memory->stride());
}

}  // namespace

struct NearestCells::Work {
  base::AlignedMatrix decoded, products;
  std::vector<float> scores;
  std::vector<std::uint32_t> order;
};

NearestCells::NearestCells(base::MatrixView centroids, int depth, base::Metric metric)
    : centroids_(centroids), cosine_(metric == base::Metric::kCosine) {
  biases_ = Biases(centroids, cosine_);
  if (depth <= kDeepestExactCells) return;
  groups_ = GroupMeans(centroids, std::size_t{1} << (depth / 2), cosine_);
  group_biases_ = Biases(groups_.view(), cosine_);
}

void NearestCells::FindExact(base::MatrixView block, Work* work, std::uint32_t* cell_of,
                             float* closeness) const {
  std::fill_n(closeness, block.rows, -std::numeric_limits<float>::infinity());
  std::fill_n(cell_of, block.rows, 0u);
  for (std::size_t first = 0; first < centroids_.rows; first += kTile) {
    const std::size_t count = std::min(kTile, centroids_.rows - first);
    const base::MatrixView tile(centroids_.row(first), count, centroids_.columns, centroids_.stride);
    kernels::MultiplyByTransposed(block, tile, 1, &work->products);
    for (std::size_t i = 0; i < block.rows; ++i) {
      float* scores = work->products.row(i);
      for (std::size_t j = 0; j < count; ++j) scores[j] += biases_[first + j];
      // The maximum first, in lanes, then its place: faster than both at once.
      float best = closeness[i];
      for (std::size_t j = 0; j < count; ++j) best = scores[j] > best ? scores[j] : best;
      if (!(best > closeness[i])) continue;
      closeness[i] = best;
      cell_of[i] = static_cast<std::uint32_t>(first + (std::find(scores, scores + count, best) - scores));
    }
  }
}

void NearestCells::FindInGroups(base::MatrixView block, Work* work, std::uint32_t* cell_of,
                                float* closeness) const {
  const auto& table = kernels::ActiveDistances();
  const std::size_t group_count = groups_.rows(), size = centroids_.rows / group_count;
  work->scores.resize(std::max(group_count, size));
  work->order.resize(group_count);
  for (std::size_t i = 0; i < block.rows; ++i) {
    float* scores = work->scores.data();
    table.inner_product_f32_rows(block.row(i), groups_.row(0), groups_.stride(), group_count, block.columns,
                                 scores);
    for (std::size_t g = 0; g < group_count; ++g) scores[g] += group_biases_[g];
    std::iota(work->order.begin(), work->order.end(), 0u);
    const std::size_t visited = std::min(kGroupsVisited, group_count);
    std::partial_sort(work->order.begin(), work->order.begin() + visited, work->order.end(),
                      [&](std::uint32_t a, std::uint32_t b) {
                        return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
                      });
    // In increasing order, so that ties go to the smaller cell.
    std::sort(work->order.begin(), work->order.begin() + visited);
    closeness[i] = -std::numeric_limits<float>::infinity();
    cell_of[i] = 0;
    for (std::size_t v = 0; v < visited; ++v) {
      const std::size_t first = work->order[v] * size;
      table.inner_product_f32_rows(block.row(i), centroids_.row(first), centroids_.stride, size,
                                   block.columns, scores);
      for (std::size_t j = 0; j < size; ++j) {
        const float score = scores[j] + biases_[first + j];
        if (score > closeness[i]) {
          closeness[i] = score;
          cell_of[i] = static_cast<std::uint32_t>(first + j);
        }
      }
    }
  }
}

void NearestCells::Find(const index::RowsView& rows, std::size_t first, std::size_t count, int thread_count,
                        std::uint32_t* cell_of, float* closeness) const {
  std::vector<Work> works(std::max(thread_count, 1));
  for (Work& work : works) {
    work.products = base::AlignedMatrix(kBlockRows, std::min(kTile, centroids_.rows));
    if (rows.format != index::RowFormat::kFloat32) {
      work.decoded = base::AlignedMatrix(kBlockRows, rows.columns);
    }
  }
  base::ParallelFor((count + kBlockRows - 1) / kBlockRows, thread_count, 1,
                    [&](std::size_t block, int thread) {
                      const std::size_t at = block * kBlockRows, some = std::min(kBlockRows, count - at);
                      Work& work = works[thread];
                      const base::MatrixView floats = Floats(rows, first + at, some, &work.decoded);
                      if (groups_.rows() == 0) {
                        FindExact(floats, &work, cell_of + at, closeness + at);
                      } else {
                        FindInGroups(floats, &work, cell_of + at, closeness + at);
                      }
                      if (cosine_) return;
                      const std::vector<float> halves = HalfSquares(floats);
                      for (std::size_t i = 0; i < some; ++i) {
                        // Never NaN, so that rows of a damaged file can be sorted too.
                        closeness[at + i] =
                            std::max(-std::numeric_limits<float>::infinity(), closeness[at + i] - halves[i]);
                      }
                    });
}

void NearestCells::Closeness(const index::RowsView& rows, absl::Span<const std::uint32_t> chosen,
                             int thread_count, base::AlignedMatrix* out) const {
  base::AlignedMatrix block(chosen.size(), rows.columns);
  for (std::size_t i = 0; i < chosen.size(); ++i) rows.CopyRow(chosen[i], block.row(i));
  // The many centroids are the first factor, whose rows are shared out among the threads.
  base::AlignedMatrix products(centroids_.rows, chosen.size());
  kernels::MultiplyByTransposed(centroids_, block.view(), thread_count, &products);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    for (std::size_t j = 0; j < centroids_.rows; ++j) out->row(i)[j] = products.row(j)[i] + biases_[j];
  }
}

std::vector<std::uint32_t> AssignCells(const NearestCells& nearest, const index::RowsView& rows,
                                       std::size_t cell_count, int thread_count) {
  std::vector<std::uint32_t> cell_of(rows.rows);
  std::vector<float> closeness(rows.rows);
  nearest.Find(rows, 0, rows.rows, thread_count, cell_of.data(), closeness.data());
  if (rows.rows < cell_count) return cell_of;
  const std::size_t limit = rows.rows * kMostRowsOverMean / cell_count;
  std::vector<std::size_t> sizes(cell_count, 0);
  for (std::uint32_t cell : cell_of) ++sizes[cell];
  std::vector<std::uint32_t> moved;
  std::vector<std::vector<std::uint32_t>> overfull(cell_count);
  for (std::size_t row = 0; row < rows.rows; ++row) {
    if (sizes[cell_of[row]] > limit) overfull[cell_of[row]].push_back(static_cast<std::uint32_t>(row));
  }
  for (std::size_t cell = 0; cell < cell_count; ++cell) {
    if (overfull[cell].empty()) continue;
    std::nth_element(overfull[cell].begin(), overfull[cell].begin() + limit, overfull[cell].end(),
                     [&](std::uint32_t a, std::uint32_t b) {
                       return closeness[a] != closeness[b] ? closeness[a] > closeness[b] : a < b;
                     });
    moved.insert(moved.end(), overfull[cell].begin() + limit, overfull[cell].end());
    sizes[cell] = limit;
  }
  std::sort(moved.begin(), moved.end());
  base::AlignedMatrix scores(std::min(moved.size(), kBlockRows), cell_count);
  for (std::size_t first = 0; first < moved.size(); first += kBlockRows) {
    const auto some = absl::MakeConstSpan(moved).subspan(first, kBlockRows);
    nearest.Closeness(rows, some, thread_count, &scores);
    for (std::size_t i = 0; i < some.size(); ++i) {
      std::size_t best = cell_count;
      for (std::size_t cell = 0; cell < cell_count; ++cell) {
        if (sizes[cell] >= limit) continue;
        if (best == cell_count || scores.row(i)[cell] > scores.row(i)[best]) best = cell;
      }
      cell_of[some[i]] = static_cast<std::uint32_t>(best);  // there is room for four times as many rows
      ++sizes[best];
    }
  }
  return cell_of;
}

}  // namespace trivium::routing
