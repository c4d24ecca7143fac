// SPDX-License-Identifier: Apache-2.0
// One block of memory a vertex with all that a search reads when it expands it: a 4-bit code of the vertex
// and a 1-bit code of each neighbour *relative to the vertex*, whose distances are estimated 32 at once.
// Blocks are drawn in kernels/edge_code_functions.h; at 384 dimensions and 32 neighbours one takes 2,048
// bytes.
//
// With P the rotation, r = P(n - v) and s its signs, <P(q - v), r> is estimated by (<Pq, s> - <Pv, s>)
// |r|^2 / <r, s>, so
//   |q - n|^2  ~  |q - v|^2 + offset - scale <Pq, s>,   scale = 2 |r|^2 / <r, s>,  offset = |r|^2 + scale
//   <Pv, s>
//   -<q, n>    ~  -<q, v>            - scale <Pq, s>,   scale =   |r|^2 / <r, s>
//
// A query lies nearer to the mean than the vertices that it visits. With a *spread* learned from queries
// (SetSpread) edges are read from pull v instead of v, which leaves less to be estimated:
//   offset = |r|^2 + pull scale <Pv, s> + 2 (1 - pull) <v, r>
// and s are signs by which queries see least of the error (sign_chooser.h). The walk costs what it did.
//
// All vectors are taken relative to a mean of rows: the errors of the codes of v and q grow with their
// lengths, and a common offset would drown the differences. Inner products keep the query as it is, which
// shifts every distance by <q, mean>.
//
// Source:  Gao and Long 2024 (RaBitQ) for the estimator, Gou et al. 2025 (SymphonyQG) for its use on edges.
// Differs: see kernels/edge_code_kernel.h; searches start at the best of a sample of vertices, held as one
//          more block around the mean of all rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/huge_bytes.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/proximity_graph.h"
#include "index/query_spread.h"
#include "index/random_rotation.h"
#include "index/rotated_rows.h"
#include "kernels/edge_code_functions.h"

namespace trivium::index {

// Fills places of a block that have no neighbour.
inline constexpr std::uint32_t kNoVertex = 0xFFFFFFFFu;

kernels::EdgeBlockShape MakeEdgeBlockShape(std::size_t padded_dimension, std::size_t edge_count);

// Const methods are safe to call concurrently, also while another object is updated.
class EdgeCodes {
 public:
  static constexpr std::uint64_t kRotationSeed = 0x7269766975;
  // Vertices of the sample that a search may start from.
  static constexpr std::size_t kEntryCount = 256;
  // Fewer dimensions: one bit of each says too little, and exact rows are short.
  static constexpr std::size_t kSmallestDimension = 64;

  EdgeCodes(std::size_t dimension, base::Metric metric, std::size_t degree_bound);

  // Borrows blocks that `owner` keeps alive: `size` of shape().bytes each, and the entry block.
  EdgeCodes(std::size_t dimension, base::Metric metric, std::size_t degree_bound, std::size_t size,
            const std::uint8_t* blocks, const std::uint8_t* entry_block, std::shared_ptr<const void> owner);

  // The same codes, borrowed: these outlive it, or `owner` keeps their blocks. Updating it leaves these as
  // they are. Moves no bytes.
  EdgeCodes Borrow(std::shared_ptr<const void> owner = nullptr) const;

  // Brings the blocks in line with `graph` over `rows`: encodes new vertices and those whose neighbours have
  // changed. On top of the blocks, while it runs, 2 bytes for each component of the rows concerned (these
  // vertices and their neighbours) and 8 for every row. The result does not depend on the thread count.
  // Throws std::bad_alloc; the codes are unusable then.
  // Cost: about 8 us for each vertex concerned at 384 dimensions.
  void Update(base::MatrixView rows, const ProximityGraph& graph, int thread_count);

  // As Update of codes without rows, but the blocks are not kept: `take` gets the bytes of all of them, in
  // order, about kPieceBytes at a time. Afterwards there is the entry block alone and size() is 0. Returns
  // the first error of `take`, which ends it.
  absl::Status Stream(base::MatrixView rows, const ProximityGraph& graph, int thread_count,
                      const std::function<absl::Status(absl::Span<const std::uint8_t>)>& take);

  // Lets searches start at `entries` instead of a sample, also after later updates: distinct vertices, at
  // most kEntryCount. None: at a sample again. `rows`: those of the codes.
  void SetEntries(base::MatrixView rows, std::vector<std::uint32_t> entries);
  // The same of the entries that the codes have, as after loading those that were set once.
  void KeepEntries() { given_entries_ = Entries(); }
  const std::vector<std::uint32_t>& given_entries() const { return given_entries_; }
  // The vertices in the entry block, where searches start.
  std::vector<std::uint32_t> Entries() const;

  // What blocks are encoded by from now on; those that are there stay as they are. Null: by nothing. Of
  // shape().dimension. A new edge then takes 13 us at 384 dimensions instead of 0.7.
  void SetSpread(std::shared_ptr<const QuerySpread> spread) { spread_ = std::move(spread); }
  const std::shared_ptr<const QuerySpread>& spread() const { return spread_; }

  std::size_t size() const { return size_; }
  bool inner_product() const { return inner_product_; }
  const kernels::EdgeBlockShape& shape() const { return shape_; }
  const kernels::EdgeBlockShape& entry_shape() const { return entry_shape_; }
  const RandomRotation& rotation() const { return rotation_; }
  const std::uint8_t* blocks() const { return blocks_; }
  const std::uint8_t* block(std::uint32_t vertex) const { return blocks_ + vertex * shape_.bytes; }
  // Holds the mean, too: entry_shape().bytes count it.
  const std::uint8_t* entry_block() const { return entry_block_; }
  // Null before there are rows.
  const float* mean() const {
    return entry_block_ == nullptr ? nullptr : reinterpret_cast<const float*>(entry_block_ + mean_place_);
  }
  // Of the rows; kept in the unused part of the entry block's header. Only for inner products.
  float largest_norm() const;

  // Brings a block into the second cache, from where the scan streams it: prefetches into the first one wait
  // for its few outstanding misses (measured: 1.4 times the time a hop).
  // Inlined by force: GCC 12 drops calls of functions that only prefetch.
  __attribute__((always_inline)) void Prefetch(std::uint32_t vertex) const {
    const std::uint8_t* first = block(vertex);
    for (std::size_t i = 0; i < shape_.bytes; i += 64) __builtin_prefetch(first + i, 0, 2);
  }

 private:
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

  void Reserve(std::size_t size);
  // Settles the mean; true where it is another one than before, so that no code is right any more.
  bool UpdateMean(base::MatrixView rows);
  // Writes the block of each of `vertices` to `blocks`, where that of vertex `first` begins. Those below
  // `known` are there already, with other neighbours: what is known of edges that stay is copied.
  void EncodeBlocks(std::span<const std::uint32_t> vertices, const ProximityGraph& graph,
                    const RotatedRows& rotated, int thread_count, std::uint32_t first, std::size_t known,
                    std::uint8_t* blocks) const;
  void EncodeEntries(base::MatrixView rows);
  static std::vector<std::uint32_t> SampleEntries(std::size_t rows);
  void StoreLargestNorm(base::MatrixView rows);

  RandomRotation rotation_;
  bool inner_product_;
  kernels::EdgeBlockShape shape_, entry_shape_;
  std::size_t mean_place_ = 0;  // of dimension floats behind the entry block
  std::size_t size_ = 0;
  std::vector<std::uint32_t> given_entries_;
  std::shared_ptr<const QuerySpread> spread_;
  base::HugeBytes owned_blocks_, owned_entry_block_;
  std::shared_ptr<const void> owner_;  // of borrowed blocks
  const std::uint8_t* blocks_ = nullptr;
  const std::uint8_t* entry_block_ = nullptr;
};

}  // namespace trivium::index
