// SPDX-License-Identifier: Apache-2.0
// Cells for rows that have come and gone since a model was trained: where cells overflow, the part of the
// tree around them is built anew.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "index/rows_view.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

// How evenly rows lie in cells.
struct CellDrift {
  double mean = 0;  // rows a cell
  std::size_t largest = 0;
  std::size_t overfull = 0;        // cells of more than kMostRowsOverMean times the mean
  double overfull_rows_share = 0;  // rows in these
  std::size_t empty = 0;
};
CellDrift MeasureDrift(const CellLists& lists);

struct SplitCells {
  std::shared_ptr<const CellModel> model;  // the given one where no cell is overfull
  std::size_t rebuilt_cells = 0;
};

// For every overfull cell the smallest subtree around it whose cells hold no more than the mean of all gets
// new cells of its rows, by BuildCells. What routers learned is handed over by the nearest of the subtree's
// former cells; the number of cells stays. Lists are to be built anew with the new model.
//
//   lists, rows  of all rows that count, in the model's cells
//
// kInvalidArgument where lists and rows do not fit. The same for any number of threads. Cost: that of
// BuildCells for the rows of the subtrees.
absl::StatusOr<SplitCells> SplitOverfullCells(const std::shared_ptr<const CellModel>& model,
                                              const CellLists& lists, const index::RowsView& rows,
                                              int thread_count);

}  // namespace trivium::routing
