// SPDX-License-Identifier: Apache-2.0
// The rows of one vector segment by cell, and the search that reads only the cells a query visits first.
//
// As blocks of a file (little-endian):
//
//   "cell_lists"  header, 64 bytes
//   "offsets"     u32 a cell, and one more: where its rows begin in "rows"; the last is their number
//   "rows"        u32 a row of the segment, increasing within a cell; every row once
//   "codes"       packs of cell_codes.h, in the order of "rows"
//   "origin"      f32 a dimension; both absent where codes_dimension is 0
//
// Version 1 had no codes: such cells are searched by the rows alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bitmap.h"
#include "base/neighbor.h"
#include "index/row_distances.h"
#include "index/rows_view.h"
#include "index/search_index.h"
#include "index/search_scratch.h"
#include "routing/tree/cell_codes.h"
#include "routing/tree/cell_model.h"
#include "routing/tree/cell_router.h"

namespace trivium::routing {

struct CellSearchParameters {
  std::size_t k = 10;                     // >= 1
  std::size_t probes = 0;                 // cells to read; 0: the calibrated number for `recall`
  double recall = 0.95;                   // at 10, for which `probes` is looked up
  std::optional<CellRouterKind> router;   // none: the model's default. One that the model has not: likewise
  const base::Bitmap* allowed = nullptr;  // null: every row. Size >= size()
  std::size_t allowed_count = 0;          // set bits of `allowed`, where it is not null
  // The order ranks this query's cells already, for another segment of the same vector set: it is used as it
  // is, with what it cost counted there.
  bool resume = false;
};

// Immutable; all methods are safe to call concurrently.
class CellLists {
 public:
  // Deals rows to the cells of `model`: to the nearest centroid, and where a cell holds 4 times the mean to
  // the next nearest with room. From CellCodes::kSmallestDimension on with codes.
  //
  //   rows  any format, of the model's dimension; unit vectors for the cosine metric
  //
  // kInvalidArgument: another dimension. The same for any number of threads. Cost: O(rows x cells x
  // dimension) up to 4,096 cells, O(rows x sqrt(cells) x dimension) beyond.
  static absl::StatusOr<std::shared_ptr<const CellLists>> Build(const CellModel& model,
                                                                const index::RowsView& rows,
                                                                int thread_count);

  // Lists of all `rows`, of which the first size() are those of this and keep their cells: the others go
  // to the cell of the nearest centroid. Codes are made anew of all.
  absl::StatusOr<std::shared_ptr<const CellLists>> Extended(const CellModel& model,
                                                            const index::RowsView& rows,
                                                            int thread_count) const;

  // Without codes. REQUIRES: cell_of[row] < cell_count.
  static std::shared_ptr<const CellLists> FromCells(absl::Span<const std::uint32_t> cell_of,
                                                    std::size_t cell_count);

  // Writes to `path`, which must not exist yet; durable on return.
  absl::Status Write(const std::string& path) const;

  // Maps a file. kDataLoss where it is damaged: sizes, offsets and that every row is there once are always
  // checked, so that a search never leaves its bounds; with `verify` also the checksum of every block.
  // O(rows).
  static absl::StatusOr<std::shared_ptr<const CellLists>> Open(const std::string& path, bool verify);

  std::size_t size() const { return rows_.size(); }
  std::size_t cell_count() const { return offsets_.size() - 1; }
  absl::Span<const std::uint32_t> Rows(std::size_t cell) const {
    return rows_.subspan(offsets_[cell], offsets_[cell + 1] - offsets_[cell]);
  }
  const CellCodes* codes() const { return codes_ ? &*codes_ : nullptr; }
  // Of offsets, rows and codes, in memory or mapped: 4 bytes a row, and with codes 52 more at 384 dimensions.
  std::size_t bytes() const;
  std::size_t used_cells() const;
  std::size_t largest_cell() const;

  // Overwrites `found` with the nearest allowed rows of the cells read, nearest first: exactly min(k, allowed
  // rows) of them. Where too few are found in `probes` cells further ones are read. With a filter as
  // many more cells are read as keep recall; where few rows are allowed, these are scanned and no cell.
  // For the cosine metric `query` is a unit vector.
  //
  // With codes every row of a cell is scored by its code, and its distance computed only where the code does
  // not rule out that it is among the nearest: about 1 of 5,000 of those that reading all rows would find is
  // missed (docs/cells.md). So it is with a filter, unless the allowed rows are smaller than all codes.
  //
  //   distances  of the segment's rows, size() of them; REQUIRES: the model's dimension
  //   order      the caller's, reused. `counters` may be null: distances of rows count as scan_distances,
  //              products with vectors of cells and rows scored by codes as code_distances, bytes_read has
  //              all of them
  //
  // REQUIRES: model.cell_count() == cell_count().
  void Search(const CellModel& model, const index::RowDistances& distances, const float* query,
              const CellSearchParameters& parameters, CellOrder* order, index::SearchScratch* scratch,
              std::vector<base::Neighbor>* found, index::SearchCounters* counters) const;

 private:
  CellLists() = default;
  static std::shared_ptr<CellLists> Dealt(absl::Span<const std::uint32_t> cell_of, std::size_t cell_count);
  void Encode(const CellModel& model, const index::RowsView& rows, int thread_count);
  absl::Status Check(const std::string& path) const;
  bool SearchesByCodes(const CellModel& model, const index::RowDistances& distances,
                       std::size_t allowed_count) const;

  std::vector<std::uint32_t> owned_offsets_, owned_rows_;  // empty where mapped
  std::shared_ptr<const storage::SegmentFile> file_;       // null where owned
  absl::Span<const std::uint32_t> offsets_, rows_;
  std::optional<CellCodes> codes_;
};

}  // namespace trivium::routing
