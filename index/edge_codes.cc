// SPDX-License-Identifier: Apache-2.0
#include "index/edge_codes.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "base/bitmap.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "index/edge_block_encoder.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

// The mean is that of the first rows, so that it does not depend on how many follow. Any point amid the rows
// will do.
constexpr std::size_t kMeanRows = 1024;

// In the header of the entry block.
constexpr std::size_t kNormOffset = 8;

constexpr std::size_t RoundUp(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
}

// The power of two that brings `values` into the middle of binary16's range: rows of any unit keep all of its
// 11 bits.
float HalfScale(const float* values, std::size_t count) {
  float largest = 0;
  for (std::size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(values[i]));
  if (!(largest > 0) || !std::isfinite(largest)) return 1;
  return std::ldexp(1.0f, std::clamp(14 - std::ilogb(largest), -126, 126));
}

void Multiply(float* values, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) values[i] *= factor;
}

// Whether the block of `vertex` names the neighbours that the graph has now, in their order.
bool SameNeighbors(const kernels::EdgeBlockShape& shape, const std::uint8_t* block,
                   std::span<const std::uint32_t> neighbors) {
  const std::uint8_t* vertices = block + shape.vertices;
  if (std::memcmp(vertices, neighbors.data(), neighbors.size_bytes()) != 0) return false;
  if (neighbors.size() == shape.edge_count) return true;
  std::uint32_t next;
  std::memcpy(&next, vertices + neighbors.size_bytes(), sizeof(next));
  return next == kNoVertex;
}

}  // namespace

kernels::EdgeBlockShape MakeEdgeBlockShape(std::size_t padded_dimension, std::size_t edge_count) {
  kernels::EdgeBlockShape shape;
  shape.dimension = padded_dimension;
  shape.edge_count = edge_count;
  shape.header = padded_dimension / 2;
  shape.vertices = shape.header + 16;
  shape.offsets = shape.vertices + 4 * edge_count;
  shape.scales = shape.offsets + 2 * edge_count;
  shape.codes = RoundUp(shape.scales + 2 * edge_count, 64);
  shape.bytes = RoundUp(shape.codes + edge_count * padded_dimension / 8, 64);
  return shape;
}

EdgeCodes::EdgeCodes(std::size_t dimension, base::Metric metric, std::size_t degree_bound)
    : rotation_(dimension, kRotationSeed),
      // Unit vectors: |q - x|^2 = 2 - 2 <q, x> gives the same order and a scale that stopping can use.
      inner_product_(metric == base::Metric::kInnerProduct),
      shape_(MakeEdgeBlockShape(rotation_.padded_dimension(), RoundUp(degree_bound, kernels::kEdgesAtOnce))),
      entry_shape_(MakeEdgeBlockShape(rotation_.padded_dimension(), kEntryCount)),
      mean_place_(entry_shape_.bytes) {
  entry_shape_.bytes += RoundUp(dimension * sizeof(float), 64);
}

EdgeCodes::EdgeCodes(std::size_t dimension, base::Metric metric, std::size_t degree_bound, std::size_t size,
                     const std::uint8_t* blocks, const std::uint8_t* entry_block,
                     std::shared_ptr<const void> owner)
    : EdgeCodes(dimension, metric, degree_bound) {
  size_ = size;
  blocks_ = blocks;
  entry_block_ = entry_block;
  owner_ = std::move(owner);
}

void EdgeCodes::Reserve(std::size_t size) {
  if (owned_blocks_.data() != nullptr && owned_blocks_.size() >= size * shape_.bytes) return;
  const std::size_t room = size_ == 0 ? size : std::max(size, size_ + size_ / 2);
  const bool borrowed = owned_blocks_.data() == nullptr;
  owned_blocks_.Grow(borrowed ? 0 : size_ * shape_.bytes, room * shape_.bytes);
  if (borrowed && size_ > 0) std::memcpy(owned_blocks_.data(), blocks_, size_ * shape_.bytes);
  blocks_ = owned_blocks_.data();
}

void EdgeCodes::Update(base::MatrixView rows, const ProximityGraph& graph, int thread_count) {
  const std::size_t padded = shape_.dimension;
  Reserve(graph.size());
  if (UpdateMean(rows.First(graph.size()))) size_ = 0;
  std::vector<std::uint32_t> stale;
  base::Bitmap wanted(graph.size());
  for (std::uint32_t vertex = 0; vertex < graph.size(); ++vertex) {
    const std::span<const std::uint32_t> neighbors = graph.Neighbors(vertex);
    if (vertex < size_ && SameNeighbors(shape_, block(vertex), neighbors)) continue;
    stale.push_back(vertex);
    wanted.Set(vertex);
    for (const std::uint32_t neighbor : neighbors) wanted.Set(neighbor);
  }
  size_ = graph.size();
  const std::shared_ptr<const void> former_owner = std::move(owner_);  // of the mean, until it is copied

  // Each row is rotated once, and kept in binary16 with a scale of its own: an edge's signs and length do not
  // need more.
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  base::HugeBytes rotated(graph.size() * padded * sizeof(kernels::Half));
  const auto rotated_row = [&](std::size_t row) {
    return reinterpret_cast<kernels::Half*>(rotated.data()) + row * padded;
  };
  std::vector<float> scales(graph.size(), 1.0f);
  const auto restore = [&](std::size_t row, float* values) {
    table.f32_from_f16(rotated_row(row), padded, values);
    Multiply(values, padded, 1 / scales[row]);
  };
  const int threads = base::ResolveThreadCount(thread_count);
  std::vector<std::vector<float>> buffers(threads, std::vector<float>(2 * padded));
  base::ParallelFor(graph.size(), threads, 256, [&](std::size_t row, int thread) {
    if (!wanted.Test(row)) return;
    float* values = buffers[thread].data();
    rotation_.Apply(rows.row(row), mean(), values);
    scales[row] = HalfScale(values, padded);
    Multiply(values, padded, scales[row]);
    table.f16_from_f32(values, padded, rotated_row(row));
  });

  std::vector<EdgeBlockEncoder> encoders(threads, EdgeBlockEncoder(shape_, inner_product_));
  base::ParallelFor(stale.size(), threads, 32, [&](std::size_t item, int thread) {
    const std::uint32_t vertex = stale[item];
    float* center = buffers[thread].data();
    float* end = center + padded;
    restore(vertex, center);
    encoders[thread].Begin(center, owned_blocks_.data() + vertex * shape_.bytes);
    std::size_t place = 0;
    for (const std::uint32_t neighbor : graph.Neighbors(vertex)) {
      restore(neighbor, end);
      encoders[thread].SetEdge(place++, neighbor, end);
    }
  });
  EncodeEntries(rows.First(graph.size()));
  if (inner_product_) StoreLargestNorm(rows.First(graph.size()));
}

bool EdgeCodes::UpdateMean(base::MatrixView rows) {
  if (size_ >= kMeanRows || (size_ > 0 && rows.rows == size_)) return false;
  std::vector<double> sum(rows.columns, 0.0);
  const std::size_t count = std::min(kMeanRows, rows.rows);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < rows.columns; ++j) sum[j] += rows.row(i)[j];
  }
  owned_entry_block_ = base::HugeBytes(entry_shape_.bytes);
  entry_block_ = owned_entry_block_.data();
  auto* mean = reinterpret_cast<float*>(owned_entry_block_.data() + mean_place_);
  for (std::size_t j = 0; j < rows.columns && count > 0; ++j) {
    mean[j] = static_cast<float>(sum[j] / static_cast<double>(count));
  }
  return true;
}

// The block around the mean.
void EdgeCodes::EncodeEntries(base::MatrixView rows) {
  const std::size_t padded = shape_.dimension;
  const std::vector<float> origin(mean(), mean() + rows.columns);
  owned_entry_block_ = base::HugeBytes(entry_shape_.bytes);
  entry_block_ = owned_entry_block_.data();
  const std::vector<float> center(padded, 0.0f);
  std::vector<float> end(padded);
  EdgeBlockEncoder encoder(entry_shape_, inner_product_);
  encoder.Begin(center.data(), owned_entry_block_.data());
  // One start for about 64 rows: below that, the walk is short from anywhere.
  const std::size_t entries = std::min(kEntryCount, rows.rows / 64);
  base::Random random(kRotationSeed);
  for (std::size_t place = 0; place < entries; ++place) {
    // One row out of each equal share, so that they are distinct.
    const std::size_t first = rows.rows * place / entries, last = rows.rows * (place + 1) / entries;
    const auto vertex = static_cast<std::uint32_t>(first + random.Below(last - first));
    rotation_.Apply(rows.row(vertex), origin.data(), end.data());
    encoder.SetEdge(place, vertex, end.data());
  }
  std::memcpy(owned_entry_block_.data() + mean_place_, origin.data(), rows.columns * sizeof(float));
}

void EdgeCodes::StoreLargestNorm(base::MatrixView rows) {
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  float largest = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    largest = std::max(largest, inner_product(rows.row(i), rows.row(i), rows.columns));
  }
  largest = std::sqrt(largest);
  std::memcpy(owned_entry_block_.data() + entry_shape_.header + kNormOffset, &largest, sizeof(largest));
}

float EdgeCodes::largest_norm() const {
  float norm;
  std::memcpy(&norm, entry_block_ + entry_shape_.header + kNormOffset, sizeof(norm));
  return norm;
}

}  // namespace trivium::index
