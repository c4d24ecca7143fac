// SPDX-License-Identifier: Apache-2.0
// Rows in cells, and models of them, that no test changes.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "routing/tree/cell_builder.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_model.h"
#include "routing/tree/cell_tree_learner.h"
#include "tests/support/random_vectors.h"

namespace trivium::testing_support {

inline base::AlignedMatrix CopyOf(const base::AlignedMatrix& from) {
  base::AlignedMatrix copy(from.rows(), from.columns());
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.columns(), copy.row(i));
  return copy;
}

inline base::AlignedMatrix RandomMatrix(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  base::Random random(seed);
  base::AlignedMatrix matrix(rows, columns);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j) matrix.row(i)[j] = static_cast<float>(random.Normal());
  }
  return matrix;
}

struct CellWorld {
  base::Metric metric;
  base::AlignedMatrix rows;
  routing::BuiltCells built;
  std::shared_ptr<const routing::CellLists> lists;

  CellWorld(std::size_t row_count, std::size_t dimension, int depth, base::Metric metric)
      : metric(metric), rows(ClusteredVectors(row_count, dimension, metric, 1)) {
    routing::CellBuildOptions options;
    options.depth = depth;
    built = *routing::BuildCells(rows.view(), metric, options);
    lists = routing::CellLists::FromCells(built.cell_of, built.centroids.rows());
  }

  // With a map of random vectors, the splits of the centroids and, from depth 5 on, levels of random vectors.
  routing::CellParts Parts(int depth) const {
    routing::CellParts parts;
    parts.depth = depth;
    parts.metric = metric;
    parts.centroids = CopyOf(built.centroids);
    parts.map.weights = RandomMatrix(built.centroids.rows(), rows.columns(), 3);
    for (std::size_t i = 0; i < built.centroids.rows(); ++i) {
      parts.map.biases.push_back(static_cast<float>(i % 5));
    }
    parts.splits = routing::SplitsOfCentroids(built.centroids.view());
    parts.centroid_weight = 0.5f;
    parts.levels.resize(depth >= 5 ? 2 : 1);
    for (std::size_t i = 0; i < parts.levels.size(); ++i) {
      parts.levels[i] = {RandomMatrix(parts.level_size(i), rows.columns(), 10 + i),
                         std::vector<float>(parts.level_size(i), static_cast<float>(i))};
    }
    parts.router = routing::CellRouterKind::kMap;
    parts.probes = {{{1, 2, 3, 4}, {1, 1, 2, 3}, {2, 2, 3, 5}, {2, 3, 4, 6}}};
    parts.mean_rows = static_cast<double>(rows.rows()) / static_cast<double>(built.centroids.rows());
    return parts;
  }
};

}  // namespace trivium::testing_support
