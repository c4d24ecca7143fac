// SPDX-License-Identifier: Apache-2.0
// A partition of a space into cells, and what decides which cells a query visits first.
//
// There are 2^depth cells, each around a centroid. They are the leaves, from left to right, of a perfect
// binary tree whose siblings are near each other. Rows belong to the cell of the nearest centroid with room;
// what is learned is only the query's side, the order in which cells are visited:
//
//   kCentroids  untrained: by the similarity of the centroid (an inverted file, Jegou et al. 2011)
//   kMap        by a learned linear map of the query, one vector and a bias a cell, that started at the
//               centroids
//   kTree       by a beam that descends a tree of learned linear splits; the leaves reached are ordered
//               by the logarithm of their path's probability plus a learned weight times the similarity of
//               the centroid
//   kLevels     by a beam that descends the tree two levels at a time; a node has a learned vector of its
//               own and competes with all nodes of its level, as cells do in the map, which orders the
//               leaves
//
// One model serves all segments of a vector set; cell_lists.h holds which rows of a segment lie in which
// cell.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "storage/segment_file.h"

namespace trivium::routing {

inline constexpr int kDeepestCells = 16;

// Values are stored in files.
enum class CellRouterKind : std::uint8_t { kCentroids = 0, kMap = 1, kTree = 2, kLevels = 3 };
inline constexpr std::size_t kCellRouterKinds = 4;

const char* CellRouterName(CellRouterKind kind);  // "centroids", "map", "tree", "levels"

// Scores of linear functions: weights row i times the query, plus biases[i].
struct LinearScores {
  base::AlignedMatrix weights;
  std::vector<float> biases;

  bool empty() const { return weights.rows() == 0; }
};

// The recalls at 10 for which the number of cells to read is calibrated.
inline constexpr std::array<double, 4> kProbeRecalls = {0.80, 0.90, 0.95, 0.99};

// Cells to read with one router for each of kProbeRecalls; 0: not calibrated.
using CalibratedProbes = std::array<std::uint32_t, kProbeRecalls.size()>;

// What a model is made of, owned. The trainer fills it in.
struct CellParts {
  int depth = 0;
  base::Metric metric = base::Metric::kCosine;
  base::AlignedMatrix centroids;  // 2^depth x dimension, in the order of the leaves
  LinearScores map;               // 2^depth rows, or empty
  LinearScores splits;            // 2^depth - 1 rows, node i over nodes 2i+1 (left) and 2i+2, or empty
  float centroid_weight = 0;      // of the tree's leaves
  // Scores of the nodes at depth - 2 x size(), ..., depth - 4, depth - 2, or empty. With a map.
  std::vector<LinearScores> levels;
  CellRouterKind router = CellRouterKind::kCentroids;  // the one to use by default
  std::array<CalibratedProbes, kCellRouterKinds> probes = {};
  double mean_rows = 0;  // a cell, of the rows it was built from: what the probes were calibrated with

  // Nodes of levels[i].
  std::size_t level_size(std::size_t i) const {
    return std::size_t{1} << (static_cast<std::size_t>(depth) - 2 * (levels.size() - i));
  }
};

LinearScores CopyScores(const LinearScores& from);
CellParts CopyParts(const CellParts& from);

// Immutable; all methods are safe to call concurrently.
class CellModel {
 public:
  // kInvalidArgument where the parts do not fit together or are not finite.
  static absl::StatusOr<std::shared_ptr<const CellModel>> Create(CellParts parts);

  // Reads a file. kDataLoss where it is damaged: sizes and values are always checked, with `verify` also the
  // checksum of every block. O(cells x dimension); the model is in memory, the file is closed.
  static absl::StatusOr<std::shared_ptr<const CellModel>> Open(const std::string& path, bool verify);

  // Writes the model to `path`, which must not exist yet; durable on return. kAlreadyExists,
  // kResourceExhausted and the like; no file is left then.
  absl::Status Write(const std::string& path) const;

  int depth() const { return parts_.depth; }
  std::size_t cell_count() const { return parts_.centroids.rows(); }
  std::size_t dimension() const { return parts_.centroids.columns(); }
  base::Metric metric() const { return parts_.metric; }
  const CellParts& parts() const { return parts_; }
  base::MatrixView centroids() const { return parts_.centroids.view(); }

  // Added to <query, centroid> to order cells: -|centroid|^2 / 2 for squared L2 distances, else 0.
  absl::Span<const float> centroid_biases() const { return centroid_biases_; }

  CellRouterKind router() const { return parts_.router; }
  bool Has(CellRouterKind kind) const;

  // Cells to read with a router for a recall at 10: the calibrated number for the smallest of kProbeRecalls
  // that is not below `recall`. A default, 1/32 of the cells, where nothing was calibrated.
  std::size_t Probes(CellRouterKind kind, double recall = 0.95) const;

 private:
  explicit CellModel(CellParts parts);

  CellParts parts_;
  std::vector<float> centroid_biases_;
};

}  // namespace trivium::routing
