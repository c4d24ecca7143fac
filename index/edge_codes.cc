// SPDX-License-Identifier: Apache-2.0
#include "index/edge_codes.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "base/bitmap.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/edge_block_encoder.h"
#include "kernels/distance_table.h"

namespace trivium::index {
namespace {

// A mean over some thousand rows is as good a centre as one over all.
constexpr std::size_t kMeanRows = 1024;

// In the header of the entry block.
constexpr std::size_t kNormOffset = 8;

constexpr std::size_t RoundUp(std::size_t value, std::size_t step) {
  return (value + step - 1) / step * step;
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

EdgeCodes EdgeCodes::Borrow(std::shared_ptr<const void> owner) const {
  const base::Metric metric = inner_product_ ? base::Metric::kInnerProduct : base::Metric::kSquaredL2;
  EdgeCodes borrowed(rotation_.dimension(), metric, shape_.edge_count, size_, blocks_, entry_block_,
                     std::move(owner));
  borrowed.given_entries_ = given_entries_;
  borrowed.spread_ = spread_;
  return borrowed;
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
  const std::size_t known = std::min(size_, graph.size());
  size_ = graph.size();
  const std::shared_ptr<const void> former_owner = std::move(owner_);  // of the mean, until it is copied
  EncodeBlocks(stale, graph, RotatedRows(rotation_, rows, mean(), wanted, thread_count), thread_count, 0,
               known, owned_blocks_.data());
  EncodeEntries(rows.First(graph.size()));
}

absl::Status EdgeCodes::Stream(base::MatrixView rows, const ProximityGraph& graph, int thread_count,
                               const std::function<absl::Status(absl::Span<const std::uint8_t>)>& take) {
  const auto size = static_cast<std::uint32_t>(graph.size());
  size_ = 0;
  UpdateMean(rows.First(size));
  const RotatedRows rotated(rotation_, rows, mean(), base::Bitmap(size, true), thread_count);
  const std::uint32_t at_once =
      static_cast<std::uint32_t>(std::max<std::size_t>(1, kPieceBytes / shape_.bytes));
  std::vector<std::uint32_t> vertices;
  base::HugeBytes piece(std::min(size, at_once) * shape_.bytes);
  for (std::uint32_t first = 0; first < size; first += at_once) {
    vertices.resize(std::min(at_once, size - first));
    std::iota(vertices.begin(), vertices.end(), first);
    EncodeBlocks(vertices, graph, rotated, thread_count, first, 0, piece.data());
    TRIVIUM_RETURN_IF_ERROR(take({piece.data(), vertices.size() * shape_.bytes}));
  }
  EncodeEntries(rows.First(size));
  return absl::OkStatus();
}

void EdgeCodes::EncodeBlocks(std::span<const std::uint32_t> vertices, const ProximityGraph& graph,
                             const RotatedRows& rotated, int thread_count, std::uint32_t first,
                             std::size_t known, std::uint8_t* blocks) const {
  struct Work {
    EdgeBlockEncoder encoder;
    std::vector<float> center, end;
    std::vector<std::uint8_t> former;
  };
  const int threads = base::ResolveThreadCount(thread_count);
  const std::vector<float> room(shape_.dimension);
  std::vector<Work> works(threads, {EdgeBlockEncoder(shape_, inner_product_, spread_.get()), room, room,
                                    std::vector<std::uint8_t>(shape_.bytes)});
  base::ParallelFor(vertices.size(), threads, 32, [&](std::size_t item, int thread) {
    const std::uint32_t vertex = vertices[item];
    auto& [encoder, center, end, former] = works[thread];
    std::uint8_t* block = blocks + (vertex - first) * shape_.bytes;
    const std::size_t edges = vertex < known ? shape_.edge_count : 0;
    if (edges > 0) std::memcpy(former.data(), block, shape_.bytes);
    const auto* ends = reinterpret_cast<const std::uint32_t*>(former.data() + shape_.vertices);
    rotated.Restore(vertex, center.data());
    encoder.Begin(center.data(), block);
    std::size_t place = 0;
    for (const std::uint32_t neighbor : graph.Neighbors(vertex)) {
      const std::size_t place_before = std::find(ends, ends + edges, neighbor) - ends;
      if (place_before < edges) {
        encoder.CopyEdge(place++, former.data(), place_before);
        continue;
      }
      rotated.Restore(neighbor, end.data());
      encoder.SetEdge(place++, neighbor, end.data());
    }
  });
}

bool EdgeCodes::UpdateMean(base::MatrixView rows) {
  // A sample of rows whose number changes only as it doubles: codes are made anew that often and no more, and
  // do not depend on the steps by which the rows came.
  const std::size_t among = std::bit_floor(rows.rows);
  if (size_ > 0 && std::bit_floor(size_) == among) return false;
  std::vector<double> sum(rows.columns, 0.0);
  const std::size_t step = std::max<std::size_t>(1, among / kMeanRows);
  for (std::size_t i = 0; i < among; i += step) {
    for (std::size_t j = 0; j < rows.columns; ++j) sum[j] += rows.row(i)[j];
  }
  owned_entry_block_ = base::HugeBytes(entry_shape_.bytes);
  entry_block_ = owned_entry_block_.data();
  auto* mean = reinterpret_cast<float*>(owned_entry_block_.data() + mean_place_);
  const double count = static_cast<double>(std::max<std::size_t>(1, among / step));
  for (std::size_t j = 0; j < rows.columns; ++j) mean[j] = static_cast<float>(sum[j] / count);
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
  std::size_t place = 0;
  for (const std::uint32_t vertex : given_entries_.empty() ? SampleEntries(rows.rows) : given_entries_) {
    rotation_.Apply(rows.row(vertex), origin.data(), end.data());
    encoder.SetEdge(place++, vertex, end.data());
  }
  std::memcpy(owned_entry_block_.data() + mean_place_, origin.data(), rows.columns * sizeof(float));
  if (inner_product_) StoreLargestNorm(rows);
}

std::vector<std::uint32_t> EdgeCodes::SampleEntries(std::size_t rows) {
  // One start for about 64 rows: below that, the walk is short from anywhere.
  const std::size_t entries = std::min(kEntryCount, rows / 64);
  base::Random random(kRotationSeed);
  std::vector<std::uint32_t> sample;
  for (std::size_t place = 0; place < entries; ++place) {
    // One row out of each equal share, so that they are distinct.
    const std::size_t first = rows * place / entries, last = rows * (place + 1) / entries;
    sample.push_back(static_cast<std::uint32_t>(first + random.Below(last - first)));
  }
  return sample;
}

void EdgeCodes::SetEntries(base::MatrixView rows, std::vector<std::uint32_t> entries) {
  assert(entries.size() <= kEntryCount);
  given_entries_ = std::move(entries);
  EncodeEntries(rows);
}

std::vector<std::uint32_t> EdgeCodes::Entries() const {
  std::vector<std::uint32_t> entries;
  const auto* vertices = reinterpret_cast<const std::uint32_t*>(entry_block_ + entry_shape_.vertices);
  for (std::size_t place = 0; place < kEntryCount && vertices[place] != kNoVertex; ++place) {
    if (vertices[place] < size_) entries.push_back(vertices[place]);  // of a damaged file
  }
  return entries;
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
