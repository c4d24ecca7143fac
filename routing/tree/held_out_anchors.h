// SPDX-License-Identifier: Apache-2.0
// What a tree is judged by: anchors that it does not learn from, and documents to be ranked for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/tree/split_tree.h"

namespace trivium::routing {

// What one level of a tree is worth.
struct LevelMeasure {
  // Of each anchor: the share of the ten documents nearest by vectors that are among the ten that share most.
  std::vector<double> overlaps;
  double entropy = 0;      // bits of a document's distribution, mean
  double overlap() const;  // mean; 0 without anchors
};

class HeldOutAnchors {
 public:
  // All rows are unit vectors; `documents` stay borrowed. `own`: the document that each anchor is, or their
  // number. Cost: anchors x documents products.
  HeldOutAnchors(base::AlignedMatrix anchors, base::MatrixView documents, std::vector<std::uint32_t> own,
                 int thread_count);

  std::size_t size() const { return anchors_.rows(); }
  base::MatrixView rows() const { return anchors_.view(); }

  // Of each of `levels`. Cost: both assigned to the tree, and anchors x documents x 2^level a level.
  std::vector<LevelMeasure> Measure(const SplitTree& tree, const std::vector<std::size_t>& levels) const;

 private:
  base::AlignedMatrix anchors_;
  base::MatrixView documents_;
  std::vector<std::uint32_t> own_;
  int thread_count_;
  std::vector<std::vector<std::uint32_t>> near_;
};

}  // namespace trivium::routing
