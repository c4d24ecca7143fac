// SPDX-License-Identifier: Apache-2.0
// Split trees by their definitions, for tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "base/bitmap.h"
#include "base/neighbor.h"
#include "base/random.h"
#include "routing/tree/split_tree.h"

namespace trivium::testing_support {

// The probability of `node`: the product of the sigmoids on the way to it.
inline double SlowProbability(const routing::SplitTree& tree, const float* x, std::size_t node) {
  std::vector<double> features(x, x + tree.dimension);
  if (tree.layer.rows() > 0) {
    std::vector<double> hidden(tree.layer.rows());
    for (std::size_t j = 0; j < hidden.size(); ++j) {
      hidden[j] = tree.layer_biases[j];
      for (std::size_t k = 0; k < tree.dimension; ++k) hidden[j] += double(tree.layer.row(j)[k]) * x[k];
      hidden[j] = std::max(0.0, hidden[j]);
    }
    features = hidden;
  }
  double probability = 1;
  for (; node > 1; node /= 2) {
    const std::size_t parent = node / 2;
    double logit = tree.biases[parent - 1];
    for (std::size_t j = 0; j < features.size(); ++j) logit += tree.splits.row(parent - 1)[j] * features[j];
    const double second = 1 / (1 + std::exp(-logit));
    probability *= node % 2 == 1 ? second : 1 - second;
  }
  return probability;
}

inline routing::SplitTree RandomTree(std::size_t dimension, std::size_t depth, std::size_t hidden,
                                     std::uint64_t seed, double steepness = 1) {
  routing::SplitTree tree(dimension, depth, hidden);
  base::Random random(seed);
  for (std::size_t i = 0; i < tree.inner_nodes(); ++i) {
    for (std::size_t j = 0; j < tree.features(); ++j) {
      tree.splits.row(i)[j] = static_cast<float>(steepness * random.Normal());
    }
    tree.biases[i] = static_cast<float>(0.3 * random.Normal());
  }
  for (std::size_t i = 0; i < hidden; ++i) {
    for (std::size_t j = 0; j < dimension; ++j) tree.layer.row(i)[j] = static_cast<float>(random.Normal());
    tree.layer_biases[i] = static_cast<float>(0.3 * random.Normal());
  }
  tree.mass_unit = static_cast<float>(4.0 / 255 / static_cast<double>(tree.leaves()));
  return tree;
}

// All allowed rows by the masses they share with the query at a level, each level joined from the one below.
inline std::vector<base::Neighbor> SlowTreeSearch(const routing::SplitTree& tree, base::MatrixView rows,
                                                  const float* query, std::size_t level, std::size_t k,
                                                  const base::Bitmap* allowed = nullptr) {
  // Masses, and what of them was cut, which only counts of a given tree: there, a node has no less than what
  // its probability rounds to, down to level `rounded`.
  const auto masses = [&](const float* x, std::size_t rounded, std::uint32_t* cut) {
    std::vector<float> features(tree.features()), nodes(tree.nodes());
    tree.Assign(x, features.data(), nodes.data());
    std::vector<std::uint32_t> all;
    *cut = 0;
    for (std::size_t i = 0; i < tree.leaves(); ++i) {
      const auto mass =
          static_cast<std::uint32_t>(std::lround(nodes[tree.leaves() + i] * (1.0f / tree.mass_unit)));
      all.push_back(std::min(255u, mass));
      *cut += mass - all.back();
    }
    float unit = tree.mass_unit;
    for (std::size_t at = tree.depth; at > level; --at) {
      const bool doubled = !tree.given() || unit < 1.0f / 255;
      if (doubled) unit *= 2;
      std::vector<std::uint32_t> above;
      *cut = 0;
      for (std::size_t i = 0; i < all.size(); i += 2) {
        std::uint32_t both = doubled ? (all[i] + all[i + 1] + 1) / 2 : all[i] + all[i + 1];
        if (tree.given() && at > rounded) {
          both = std::max(
              both, static_cast<std::uint32_t>(std::lround(nodes[(all.size() + i) / 2] * (1.0f / unit))));
        }
        above.push_back(std::min(255u, both));
        *cut += both - above.back();
      }
      all = above;
    }
    if (!tree.given()) *cut = 0;
    return all;
  };
  // Rows are kept at every second level from the last to the fourth, and joined from there.
  std::size_t kept = tree.depth;
  while (kept >= level + 2 && kept >= 6) kept -= 2;
  std::uint32_t cut = 0, ignored = 0;
  const std::vector<std::uint32_t> asked = masses(query, level, &cut);
  const auto whole = static_cast<float>(std::max(1u, std::accumulate(asked.begin(), asked.end(), cut)));
  std::vector<base::Neighbor> all;
  for (std::uint32_t i = 0; i < rows.rows; ++i) {
    if (allowed != nullptr && !allowed->Test(i)) continue;
    const std::vector<std::uint32_t> own = masses(rows.row(i), kept, &ignored);
    std::uint32_t shared = 0;
    for (std::size_t j = 0; j < own.size(); ++j) shared += std::min(own[j], asked[j]);
    all.push_back({-static_cast<float>(shared), i});
  }
  std::sort(all.begin(), all.end());
  if (all.size() > k) all.resize(k);
  for (base::Neighbor& one : all) one.distance = 1.0f + one.distance / whole;
  return all;
}

// n distributions over 2^depth leaves around ten centres, at unit length. `sharpness` 0.3: they spread over
// all leaves; 8: nearly all lies in one.
inline base::AlignedMatrix RandomDistributions(std::size_t n, std::size_t depth, double sharpness,
                                               std::uint64_t seed) {
  constexpr std::size_t kCentres = 10;
  const std::size_t leaves = std::size_t{1} << depth;
  base::Random centres(77), random(seed);
  base::AlignedMatrix logits(kCentres, leaves), rows(n, leaves);
  for (std::size_t i = 0; i < kCentres * leaves; ++i) {
    logits.row(i / leaves)[i % leaves] = static_cast<float>(centres.Normal());
  }
  for (std::size_t i = 0; i < n; ++i) {
    double squared = 0;
    const float* centre = logits.row(i % kCentres);
    for (std::size_t j = 0; j < leaves; ++j) {
      rows.row(i)[j] = static_cast<float>(std::exp(sharpness * (centre[j] + 0.4 * random.Normal())));
      squared += double{rows.row(i)[j]} * rows.row(i)[j];
    }
    for (std::size_t j = 0; j < leaves; ++j) rows.row(i)[j] /= static_cast<float>(std::sqrt(squared));
  }
  return rows;
}

// What two distributions share of the nodes of a level, by definition.
inline double SlowShare(const float* a, const float* b, std::size_t depth, std::size_t level) {
  const std::size_t leaves = std::size_t{1} << depth, below = leaves >> level;
  const double whole_a = std::accumulate(a, a + leaves, 0.0), whole_b = std::accumulate(b, b + leaves, 0.0);
  double shared = 0;
  for (std::size_t i = 0; i < leaves; i += below) {
    shared += std::min(std::accumulate(a + i, a + i + below, 0.0) / whole_a,
                       std::accumulate(b + i, b + i + below, 0.0) / whole_b);
  }
  return shared;
}

}  // namespace trivium::testing_support
