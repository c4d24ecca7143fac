// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_splitter.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/tree/cell_assignment.h"
#include "routing/tree/cell_builder.h"
#include "routing/tree/cell_level_learner.h"
#include "routing/tree/cell_tree_learner.h"

namespace trivium::routing {
namespace {

// The leaves [first, first + 2^height) of a tree.
struct Subtree {
  std::size_t first = 0;
  int height = 0;

  std::size_t last() const { return first + (std::size_t{1} << height); }
};

std::size_t RowsIn(const CellLists& lists, const Subtree& subtree) {
  std::size_t rows = 0;
  for (std::size_t cell = subtree.first; cell < subtree.last(); ++cell) rows += lists.Rows(cell).size();
  return rows;
}

bool IsOverfull(const CellLists& lists, std::size_t cell) {
  return lists.Rows(cell).size() * lists.cell_count() > kMostRowsOverMean * lists.size();
}

// The disjoint subtrees to build anew, from left to right.
std::vector<Subtree> Chosen(const CellLists& lists, int depth) {
  std::vector<Subtree> chosen;
  for (std::size_t cell = 0; cell < lists.cell_count(); ++cell) {
    if (!IsOverfull(lists, cell)) continue;
    Subtree subtree;
    do {
      ++subtree.height;
      subtree.first = cell >> subtree.height << subtree.height;
    } while (subtree.height < depth && RowsIn(lists, subtree) * lists.cell_count() > lists.size()
                                                                                         << subtree.height);
    // Two subtrees are apart or one holds the other.
    while (!chosen.empty() && chosen.back().first >= subtree.first) chosen.pop_back();
    if (chosen.empty() || chosen.back().last() <= subtree.first) chosen.push_back(subtree);
  }
  return chosen;
}

// How many times the `from` rows the `to` rows are, by least squares: what a router was steepened by.
float Steepness(base::MatrixView from, base::MatrixView to) {
  double product = 0, square = 0;
  for (std::size_t i = 0; i < from.rows; ++i) {
    product += kernels::ActiveDistances().inner_product_f32(from.row(i), to.row(i), from.columns);
    square += kernels::ActiveDistances().inner_product_f32(from.row(i), from.row(i), from.columns);
  }
  return square > 0 ? static_cast<float>(product / square) : 0.0f;
}

// Moves the scores of the rows [first, last), which were of `before`, to `after`: those of the nearest former
// row and the way from there, as steep as scores are.
void HandOver(base::MatrixView before, base::MatrixView after, std::size_t first, std::size_t last,
              LinearScores* scores) {
  const float steepness = Steepness(before, scores->weights.view());
  const LinearScores former = CopyScores(*scores);
  for (std::size_t i = first; i < last; ++i) {
    std::size_t nearest = first;
    float least = std::numeric_limits<float>::infinity();
    for (std::size_t j = first; j < last; ++j) {
      const float distance =
          kernels::ActiveDistances().squared_l2_f32(after.row(i), before.row(j), before.columns);
      if (distance < least) {
        least = distance;
        nearest = j;
      }
    }
    const float* weights = former.weights.row(nearest);
    for (std::size_t c = 0; c < before.columns; ++c) {
      scores->weights.row(i)[c] = weights[c] + steepness * (after.row(i)[c] - before.row(nearest)[c]);
    }
    scores->biases[i] = former.biases[nearest];
  }
}

// The splits at and below the root of the subtree, as steep as the others; learned ones are lost there.
void ReplaceSplits(const LinearScores& before, const LinearScores& after, const Subtree& subtree, int depth,
                   LinearScores* splits) {
  const float steepness = Steepness(before.weights.view(), splits->weights.view());
  for (int level = depth - subtree.height; level < depth; ++level) {
    const std::size_t above = (std::size_t{1} << level) - 1;
    const int below = depth - level;
    for (std::size_t i = subtree.first >> below; i < (subtree.last() + (1u << below) - 1) >> below; ++i) {
      for (std::size_t c = 0; c < splits->weights.columns(); ++c) {
        splits->weights.row(above + i)[c] = steepness * after.weights.row(above + i)[c];
      }
      splits->biases[above + i] = steepness * after.biases[above + i];
    }
  }
}

}  // namespace

CellDrift MeasureDrift(const CellLists& lists) {
  CellDrift drift;
  drift.mean = static_cast<double>(lists.size()) / static_cast<double>(lists.cell_count());
  std::size_t rows = 0;
  for (std::size_t cell = 0; cell < lists.cell_count(); ++cell) {
    const std::size_t size = lists.Rows(cell).size();
    drift.largest = std::max(drift.largest, size);
    drift.empty += size == 0 ? 1 : 0;
    if (!IsOverfull(lists, cell)) continue;
    ++drift.overfull;
    rows += size;
  }
  if (lists.size() > 0) {
    drift.overfull_rows_share = static_cast<double>(rows) / static_cast<double>(lists.size());
  }
  return drift;
}

absl::StatusOr<SplitCells> SplitOverfullCells(const std::shared_ptr<const CellModel>& model,
                                              const CellLists& lists, const index::RowsView& rows,
                                              int thread_count) {
  if (lists.cell_count() != model->cell_count() || lists.size() != rows.rows ||
      rows.columns != model->dimension()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "cells to split: lists of %d rows in %d cells and %d rows of %d numbers, expected those of one model",
        lists.size(), lists.cell_count(), rows.rows, rows.columns));
  }
  SplitCells split{model, 0};
  if (lists.size() < lists.cell_count()) return split;  // so few rows need no cells
  const std::vector<Subtree> chosen = Chosen(lists, model->depth());
  if (chosen.empty()) return split;
  CellParts parts = CopyParts(model->parts());
  for (const Subtree& subtree : chosen) {
    base::AlignedMatrix own(RowsIn(lists, subtree), rows.columns);
    std::size_t at = 0;
    for (std::size_t cell = subtree.first; cell < subtree.last(); ++cell) {
      for (std::uint32_t row : lists.Rows(cell)) rows.CopyRow(row, own.row(at++));
    }
    CellBuildOptions build;
    build.depth = subtree.height;
    build.thread_count = thread_count;
    TRIVIUM_ASSIGN_OR_RETURN(const BuiltCells built, BuildCells(own.view(), parts.metric, build));
    for (std::size_t i = 0; i < built.centroids.rows(); ++i) {
      std::copy_n(built.centroids.row(i), rows.columns, parts.centroids.row(subtree.first + i));
    }
    split.rebuilt_cells += built.centroids.rows();
  }
  const base::MatrixView before = model->centroids(), after = parts.centroids.view();
  for (const Subtree& subtree : chosen) {
    if (!parts.map.empty()) HandOver(before, after, subtree.first, subtree.last(), &parts.map);
    for (std::size_t i = 0; i < parts.levels.size(); ++i) {
      const int below = 2 * static_cast<int>(parts.levels.size() - i);
      if (below >= subtree.height) continue;  // the node holds the whole subtree: its rows are the same
      const base::AlignedMatrix old_means = NodeMeans(before, below, parts.metric);
      const base::AlignedMatrix new_means = NodeMeans(after, below, parts.metric);
      HandOver(old_means.view(), new_means.view(), subtree.first >> below, subtree.last() >> below,
               &parts.levels[i]);
    }
    if (!parts.splits.empty()) {
      ReplaceSplits(SplitsOfCentroids(before), SplitsOfCentroids(after), subtree, parts.depth, &parts.splits);
    }
  }
  TRIVIUM_ASSIGN_OR_RETURN(split.model, CellModel::Create(std::move(parts)));
  return split;
}

}  // namespace trivium::routing
