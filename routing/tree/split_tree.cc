// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/split_tree.h"

#include <algorithm>
#include <cmath>

#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kRowsAtOnce = 512;

// Of a given tree.
void AssignGiven(const SplitTree& tree, const float* x, float* probabilities) {
  float* const leaves = probabilities + tree.leaves();
  double sum = 0;
  for (std::size_t i = 0; i < tree.leaves(); ++i) sum += leaves[i] = std::max(0.0f, x[i]);
  if (sum > 0) {
    const auto scale = static_cast<float>(1 / sum);
    for (std::size_t i = 0; i < tree.leaves(); ++i) leaves[i] *= scale;
  } else {
    std::fill(leaves, leaves + tree.leaves(), 1.0f / static_cast<float>(tree.leaves()));
  }
  for (std::size_t v = tree.inner_nodes(); v >= 1; --v) {
    probabilities[v] = probabilities[2 * v] + probabilities[2 * v + 1];
  }
  probabilities[0] = 0;
}

std::size_t GreedyGiven(const SplitTree& tree, const float* x) {
  const auto sum = [&](std::size_t first, std::size_t count) {
    double sum = 0;
    for (std::size_t i = first; i < first + count; ++i) sum += std::max(0.0f, x[i]);
    return sum;
  };
  std::size_t leaf = 0;
  for (std::size_t half = tree.leaves() / 2; half > 0; half /= 2) {
    if (sum(leaf + half, half) > sum(leaf, half)) leaf += half;
  }
  return leaf;
}

float Sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

void FeaturesOf(const SplitTree& tree, const float* x, float* features) {
  kernels::ActiveDistances().inner_product_f32_rows(x, tree.layer.row(0), tree.layer.stride(),
                                                    tree.layer.rows(), tree.dimension, features);
  for (std::size_t j = 0; j < tree.layer.rows(); ++j) {
    features[j] = std::max(0.0f, features[j] + tree.layer_biases[j]);
  }
}

}  // namespace

SplitTree::SplitTree(std::size_t dimension, std::size_t depth, std::size_t hidden)
    : dimension(dimension),
      depth(depth),
      splits((std::size_t{1} << depth) - 1, hidden > 0 ? hidden : dimension),
      biases((std::size_t{1} << depth) - 1, 0.0f),
      layer(hidden, dimension),
      layer_biases(hidden, 0.0f) {}

SplitTree SplitTree::Given(std::size_t depth) {
  SplitTree tree;
  tree.dimension = std::size_t{1} << depth;
  tree.depth = depth;
  return tree;
}

std::size_t SplitTree::UnitDoublings(std::size_t level) const {
  const std::size_t levels = depth - level;
  if (!given()) return levels;
  std::size_t doublings = 0;
  for (float unit = mass_unit; unit < 1.0f / 255 && doublings < levels; unit *= 2) ++doublings;
  return doublings;
}

void ProbabilitiesFromLogits(const float* logits, std::size_t depth, float* probabilities) {
  probabilities[0] = 0;
  probabilities[1] = 1;
  const std::size_t inner = (std::size_t{1} << depth) - 1;
  for (std::size_t v = 1; v <= inner; ++v) {
    const float second = Sigmoid(logits[v - 1]);
    probabilities[2 * v + 1] = probabilities[v] * second;
    probabilities[2 * v] = probabilities[v] * (1 - second);
  }
}

void SplitTree::Assign(const float* x, float* features, float* probabilities) const {
  if (given()) return AssignGiven(*this, x, probabilities);
  if (layer.rows() > 0) {
    FeaturesOf(*this, x, features);
    x = features;
  }
  // The logits stand where the probabilities of the second half of the nodes will, which are written last.
  float* logits = probabilities + leaves() + 1;
  kernels::ActiveDistances().inner_product_f32_rows(x, splits.row(0), splits.stride(), inner_nodes(),
                                                    this->features(), logits);
  for (std::size_t i = 0; i < inner_nodes(); ++i) logits[i] += biases[i];
  probabilities[0] = 0;
  probabilities[1] = 1;
  // Children of inner nodes that are inner nodes themselves, then leaves: those of node v overwrite the
  // logits of nodes 2 v - 1 - leaves() and 2 v - leaves(), both at most v.
  for (std::size_t v = 1; v <= inner_nodes(); ++v) {
    const float second = Sigmoid(logits[v - 1]);
    probabilities[2 * v] = probabilities[v] * (1 - second);
    probabilities[2 * v + 1] = probabilities[v] * second;
  }
}

std::size_t SplitTree::GreedyLeaf(const float* x, float* features) const {
  if (given()) return GreedyGiven(*this, x);
  if (layer.rows() > 0) {
    FeaturesOf(*this, x, features);
    x = features;
  }
  const auto product = kernels::ActiveDistances().inner_product_f32;
  std::size_t v = 1;
  for (std::size_t level = 0; level < depth; ++level) {
    v = 2 * v + (product(x, splits.row(v - 1), this->features()) + biases[v - 1] > 0 ? 1 : 0);
  }
  return v - leaves();
}

void AssignMany(const SplitTree& tree, base::MatrixView rows, int thread_count,
                base::AlignedMatrix* probabilities) {
  *probabilities = base::AlignedMatrix(rows.rows, tree.nodes());
  const std::size_t pieces = (rows.rows + kRowsAtOnce - 1) / kRowsAtOnce;
  base::ParallelFor(pieces, thread_count, 1, [&](std::size_t piece, int) {
    const std::size_t first = piece * kRowsAtOnce;
    const base::MatrixView some(rows.row(first), std::min(kRowsAtOnce, rows.rows - first), rows.columns,
                                rows.stride);
    if (tree.given()) {
      for (std::size_t i = 0; i < some.rows; ++i) {
        AssignGiven(tree, some.row(i), probabilities->row(first + i));
      }
      return;
    }
    base::AlignedMatrix features(some.rows, tree.features()), logits(some.rows, tree.inner_nodes());
    base::MatrixView in = some;
    if (tree.layer.rows() > 0) {
      kernels::MultiplyByTransposed(some, tree.layer.view(), 1, &features);
      for (std::size_t i = 0; i < some.rows; ++i) {
        for (std::size_t j = 0; j < tree.layer.rows(); ++j) {
          features.row(i)[j] = std::max(0.0f, features.row(i)[j] + tree.layer_biases[j]);
        }
      }
      in = features.view();
    }
    kernels::MultiplyByTransposed(in, tree.splits.view(), 1, &logits);
    for (std::size_t i = 0; i < some.rows; ++i) {
      float* row = logits.row(i);
      for (std::size_t j = 0; j < tree.inner_nodes(); ++j) row[j] += tree.biases[j];
      ProbabilitiesFromLogits(row, tree.depth, probabilities->row(first + i));
    }
  });
}

}  // namespace trivium::routing
