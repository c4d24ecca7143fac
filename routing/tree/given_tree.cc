// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/given_tree.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/aligned_matrix.h"
#include "base/thread_pool.h"
#include "routing/tree/leaf_table.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kMostRows = 2000, kMostAsked = 64, kCompared = 10;
constexpr double kWorthIt = 0.01;  // of what is kept, for less mass lost
constexpr float kEqual = 1e-6f;    // shares that differ by less

float ExactShare(const float* a, const float* b, std::size_t leaves) {
  float shared = 0;
  for (std::size_t i = 0; i < leaves; ++i) shared += std::min(a[i], b[i]);
  return shared;
}

// The mass that rounding moves, mean over rows.
double MassLost(const SplitTree& tree, const base::AlignedMatrix& nodes) {
  const float unit = tree.mass_unit;
  double lost = 0;
  for (std::size_t i = 0; i < nodes.rows(); ++i) {
    const float* leaves = nodes.row(i) + tree.leaves();
    for (std::size_t j = 0; j < tree.leaves(); ++j) {
      lost += std::abs(leaves[j] - unit * std::min(255.0f, std::round(leaves[j] / unit)));
    }
  }
  return lost / static_cast<double>(nodes.rows());
}

}  // namespace

GivenTree MakeGivenTree(std::size_t depth, base::MatrixView rows, int thread_count) {
  GivenTree made{SplitTree::Given(depth), 1};
  SplitTree& tree = made.tree;
  rows = rows.First(std::min(rows.rows, kMostRows));
  const std::size_t leaves = tree.leaves(), asked = std::min(rows.rows, kMostAsked);
  const std::size_t stride = rows.rows / asked, compared = std::min(kCompared, rows.rows);
  base::AlignedMatrix nodes;
  AssignMany(tree, rows, thread_count, &nodes);
  base::AlignedMatrix shares(asked, rows.rows);
  std::vector<float> least(asked);  // of the best, by exact masses
  base::ParallelFor(asked, thread_count, 1, [&](std::size_t q, int) {
    const float* own = nodes.row(q * stride) + leaves;
    for (std::size_t i = 0; i < rows.rows; ++i) {
      shares.row(q)[i] = ExactShare(own, nodes.row(i) + leaves, leaves);
    }
    std::vector<float> sorted(shares.row(q), shares.row(q) + rows.rows);
    std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(compared - 1), sorted.end(),
                     std::greater<>());
    least[q] = sorted[compared - 1] - kEqual;
  });

  std::vector<double> kept(depth + 1), lost(depth + 1);
  for (std::size_t j = 0; j <= depth; ++j) {
    tree.mass_unit = std::ldexp(1.0f / 255, -static_cast<int>(j));
    lost[j] = MassLost(tree, nodes);
    const std::shared_ptr<const LeafTable> table = LeafTable::Build(tree, rows, thread_count);
    std::vector<std::size_t> found_of(asked);
    base::ParallelFor(asked, thread_count, 1, [&](std::size_t q, int) {
      LeafScratch scratch;
      scratch.query.Set(tree, rows.row(q * stride));
      std::vector<base::Neighbor> found;
      table->Search(scratch.query, depth, compared, nullptr, &scratch, &found, nullptr);
      for (const base::Neighbor& one : found) found_of[q] += shares.row(q)[one.row] >= least[q] ? 1 : 0;
    });
    for (const std::size_t found : found_of) {
      kept[j] += static_cast<double>(found) / static_cast<double>(asked * compared);
    }
  }
  const double best = *std::max_element(kept.begin(), kept.end());
  std::size_t chosen = depth + 1;
  for (std::size_t j = 0; j <= depth; ++j) {
    if (kept[j] < best - kWorthIt) continue;
    if (chosen > depth || lost[j] < lost[chosen]) chosen = j;
  }
  tree.mass_unit = std::ldexp(1.0f / 255, -static_cast<int>(chosen));
  made.kept = kept[chosen];
  return made;
}

}  // namespace trivium::routing
