// SPDX-License-Identifier: Apache-2.0
// A perfect binary tree whose nodes divide vectors softly: how probable is each node for a vector?
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::routing {

inline constexpr std::size_t kDeepestSplitTree = 12;

// Nodes are counted in heap order from 1, the root: node v has the children 2 v and 2 v + 1, level l the
// nodes [2^l, 2^(l+1)), and the leaves are level `depth`.
//
// An inner node sends a vector x to its second child with probability g = sigmoid(<w, f(x)> + b), where f(x)
// is x itself, or, where the splits are not linear, max(0, H x + c) with one H for all nodes. A node's
// probability is the product of those on the way to it, so the nodes of a level are a distribution.
//
// Source:  Gupta et al. 2025 (ReTreever), Eq. 1 and 2 with linear and MLP splits.
// Differs: the layer of the MLP splits is shared by all nodes.
//
// A given tree has no splits: vectors are distributions over its leaves, made elsewhere. Their scale does not
// matter, what is below zero counts as zero, and a vector without a positive component is everywhere alike.
struct SplitTree {
  SplitTree() = default;
  // All zero. `hidden`: features of an MLP split; 0: linear.
  SplitTree(std::size_t dimension, std::size_t depth, std::size_t hidden = 0);
  // A given tree, of dimension 2^depth.
  static SplitTree Given(std::size_t depth);

  std::size_t dimension = 0;
  std::size_t depth = 0;       // 1 to kDeepestSplitTree
  base::AlignedMatrix splits;  // 2^depth - 1 rows, node v in row v - 1, of features() floats; none: given
  std::vector<float> biases;   // likewise
  base::AlignedMatrix layer;   // H: hidden x dimension; no rows: linear
  std::vector<float> layer_biases;
  float mass_unit = 1.0f / 255;  // of leaf probabilities in bytes (leaf_masses.h); learned with the tree

  bool given() const { return splits.rows() == 0; }
  // How often the unit of masses has doubled from the leaves up to a level. A given tree's stops where 255
  // units hold all that there is, so that sharp distributions stay sharp on coarse levels.
  std::size_t UnitDoublings(std::size_t level) const;
  std::size_t inner_nodes() const { return (std::size_t{1} << depth) - 1; }
  std::size_t leaves() const { return std::size_t{1} << depth; }
  std::size_t nodes() const { return std::size_t{2} << depth; }  // with the unused 0
  std::size_t features() const { return layer.rows() > 0 ? layer.rows() : dimension; }

  // Overwrites `probabilities`, nodes() floats, with that of each node; that of 0 is 0. `features`: buffer of
  // features() floats, not used where splits are linear. `x`: dimension floats. Cost: inner_nodes() products
  // of features() floats; of a given tree, nodes() sums. Nothing is allocated.
  void Assign(const float* x, float* features, float* probabilities) const;

  // The leaf, from 0, that is reached by always going the more probable way: `depth` products, or the sum of
  // all leaves.
  std::size_t GreedyLeaf(const float* x, float* features) const;
};

// Turns the logits of the inner nodes (2^depth - 1) into the probabilities of all nodes, as Assign.
void ProbabilitiesFromLogits(const float* logits, std::size_t depth, float* probabilities);

// n x nodes(): Assign for each row.
void AssignMany(const SplitTree& tree, base::MatrixView rows, int thread_count,
                base::AlignedMatrix* probabilities);

}  // namespace trivium::routing
