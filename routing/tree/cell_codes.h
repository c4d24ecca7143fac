// SPDX-License-Identifier: Apache-2.0
// One bit a dimension of each row, in the order of the cells: what a search of cells reads of every row
// before it compares the few that may be near.
//
// Rows lie 32 to a *pack* (kernels/sign_pack_kernel.h), 52 bytes each at 384 dimensions; a pack may hold rows
// of several cells. With P the rotation, c the centroid of the row's cell, o the mean of all centroids,
// r = P(x - c) and s its signs,
//   |q - x|^2  ~  |q - c|^2 + offset - scale <P(q - o), s>,  scale = 2 |r|^2 / <r, s>,
//                                                            offset = |r|^2 + scale <P(c - o), s>
//   -<q, x>    ~  -<q, c>            - scale <P q, s>,       scale =   |r|^2 / <r, s>,  offset = 0
// For the cosine metric 2 - 2 <q, x> = |q - x|^2 - (|x|^2 - 1) - (|q|^2 - 1) is estimated by the first, with
// offset less |x|^2 - 1: rows that are stored in fewer bits are not quite unit vectors.
//
// The error of the product is about normal. Given the part of q - c (of q for inner products) that r tells
// nothing of, its deviation is |q - c| sqrt(1 - 2 / pi); rounding the sums of four to a step adds
// step sqrt(dimension / 48). A *lower bound* of a distance is the estimate with that many deviations more of
// product, so it costs nothing a row.
//
// Source:  Gao and Long 2024 (RaBitQ), sections 3 and 4 (codes around centroids, the bound that says what to
//          compare), Andre et al. 2015 (FastScan) for sums by look-ups in registers.
// Differs: 1 - 2 / pi stands for the share that r leaves of each single row, which after a rotation is the
//          same within hundredths; the query has sums of four in 6 bits; factors are bfloat16.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/huge_bytes.h"
#include "base/metric.h"
#include "index/edge_query.h"
#include "index/random_rotation.h"
#include "index/rows_view.h"
#include "kernels/distance_table.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

// Immutable; const methods are safe to call concurrently. Moves only.
class CellCodes {
 public:
  static constexpr std::size_t kPackRows = 32;
  static constexpr std::uint64_t kRotationSeed = 0x7269766975;
  // Fewer dimensions: one bit of each says too little, and rows are short.
  static constexpr std::size_t kSmallestDimension = 64;
  // From an estimate to the lower bound: one row in 400 is nearer than its bound. See docs/cells.md.
  static constexpr float kDeviations = 2.8f;

  // Of the rows rows_in_cells[offsets[c]] to [offsets[c + 1]] of each cell c of `model`, all of `rows` once.
  // The same for any number of threads and on every instruction set. REQUIRES: rows of the model's dimension.
  // Throws std::bad_alloc. Cost: about 2 us a row at 384 dimensions.
  CellCodes(const CellModel& model, const index::RowsView& rows, absl::Span<const std::uint32_t> offsets,
            absl::Span<const std::uint32_t> rows_in_cells, int thread_count);

  // Borrows bytes() of packs and `dimension` floats of origin, finite, that `owner` keeps alive.
  CellCodes(std::size_t dimension, base::Metric metric, std::size_t rows, const std::uint8_t* packs,
            const float* origin, std::shared_ptr<const void> owner);

  std::size_t size() const { return rows_; }
  std::size_t dimension() const { return rotation_.dimension(); }
  base::Metric metric() const { return metric_; }
  std::size_t pack_bytes() const { return PackBytes(dimension()); }
  std::size_t bytes() const { return Bytes(dimension(), rows_); }
  const std::uint8_t* packs() const { return packs_; }
  const float* origin() const { return origin_; }

  static std::size_t PackBytes(std::size_t dimension);
  static std::size_t Bytes(std::size_t dimension, std::size_t rows);

  // Makes `prepared` of a query. O(d log d), about 2 us at 384 dimensions.
  void Prepare(const float* query, index::EdgeQuery* prepared) const;

  // out[i] = distance of the centroid of cells[i].
  void CenterDistances(const CellModel& model, absl::Span<const std::uint32_t> cells, const float* query,
                       float* out) const;

  // How lower bounds of the rows of a cell are read off their packs, given the distance of its centroid; all
  // but `bound`.
  kernels::EdgeEstimate Around(float center, const index::EdgeQuery& prepared) const;

  // The distance, as RowDistances tells it, that belongs to one in terms of the codes, and the other way
  // round, for a query of this squared length.
  float CodeDistance(float distance, float squared_length) const {
    return metric_ == base::Metric::kCosine ? 1 + squared_length + 2 * distance : distance;
  }

  // See ScorePacks, of packs [first, first + count).
  std::size_t Score(const kernels::DistanceTable& table, std::size_t first, std::size_t count,
                    const index::EdgeQuery& prepared, const kernels::EdgeEstimate& estimate, float* distances,
                    std::uint32_t* places) const {
    return table.score_packs(packs_ + first * pack_bytes(), count, rotation_.padded_dimension(),
                             prepared.view().table, estimate, distances, places);
  }

  // Into the second cache. Inlined by force: GCC 12 drops calls of functions that only prefetch.
  __attribute__((always_inline)) void Prefetch(std::size_t pack) const {
    const std::uint8_t* first = packs_ + pack * pack_bytes();
    for (std::size_t i = 0; i < pack_bytes(); i += 64) __builtin_prefetch(first + i, 0, 2);
  }

 private:
  bool inner_product() const { return metric_ == base::Metric::kInnerProduct; }
  struct Buffers {
    std::vector<float> row, rotated;
    std::vector<std::uint8_t> signs;
  };
  void EncodePack(std::size_t pack, const base::AlignedMatrix& centers, const index::RowsView& rows,
                  absl::Span<const std::uint32_t> offsets, absl::Span<const std::uint32_t> rows_in_cells,
                  Buffers* buffers, std::uint8_t* out) const;

  index::RandomRotation rotation_;
  base::Metric metric_;
  std::size_t rows_;
  base::HugeBytes owned_packs_;
  std::vector<float> owned_origin_;
  std::shared_ptr<const void> owner_;  // of borrowed packs
  const std::uint8_t* packs_ = nullptr;
  const float* origin_ = nullptr;
};

}  // namespace trivium::routing
