// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_level_learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/tree/query_scale.h"

namespace trivium::routing {
namespace {

// The coarsest level has about so many levels above it: few nodes are scored in no time.
constexpr int kCoarsestLevel = 4;

std::vector<float> QueryBiases(const base::AlignedMatrix& means, base::Metric metric) {
  std::vector<float> biases(means.rows(), 0.0f);
  if (base::UsesInnerProduct(metric)) return biases;
  for (std::size_t i = 0; i < means.rows(); ++i) {
    biases[i] =
        -kernels::ActiveDistances().inner_product_f32(means.row(i), means.row(i), means.columns()) / 2;
  }
  return biases;
}

// Moves the scores of each node as far as those of its ancestor, `generations` levels up, were moved.
void Inherit(const LearnedMap& ancestors, int generations, LinearScores* scores) {
  for (std::size_t i = 0; i < scores->weights.rows(); ++i) {
    const std::size_t from = i >> generations;
    const float* start = ancestors.start.weights.row(from);
    const float* learned = ancestors.learned.weights.row(from);
    for (std::size_t c = 0; c < scores->weights.columns(); ++c) {
      scores->weights.row(i)[c] += learned[c] - start[c];
    }
    scores->biases[i] += ancestors.learned.biases[from] - ancestors.start.biases[from];
  }
}

}  // namespace

base::AlignedMatrix NodeMeans(base::MatrixView centroids, int below, base::Metric metric) {
  const std::size_t size = std::size_t{1} << below;
  base::AlignedMatrix means(centroids.rows / size, centroids.columns);
  for (std::size_t i = 0; i < means.rows(); ++i) {
    float* mean = means.row(i);
    for (std::size_t j = i * size; j < (i + 1) * size; ++j) {
      for (std::size_t c = 0; c < centroids.columns; ++c) mean[c] += centroids.row(j)[c];
    }
    float scale = 1.0f / static_cast<float>(size);
    if (metric == base::Metric::kCosine) {
      const float square = kernels::ActiveDistances().inner_product_f32(mean, mean, centroids.columns);
      scale = square > 0 ? 1.0f / std::sqrt(square) : 0.0f;
    }
    for (std::size_t c = 0; c < centroids.columns; ++c) mean[c] *= scale;
  }
  return means;
}

CellTargets Coarser(const CellTargets& targets, int below) {
  CellTargets coarser;
  coarser.queries = targets.queries;
  coarser.begins.push_back(0);
  for (std::size_t query = 0; query < targets.queries.rows; ++query) {
    for (const CellTargets::Share& share : targets.Of(query)) {
      const std::uint32_t node = share.cell >> below;
      const bool is_new =
          coarser.shares.size() == coarser.begins.back() || coarser.shares.back().cell != node;
      if (is_new) {
        coarser.shares.push_back({node, share.share});
      } else {
        coarser.shares.back().share += share.share;
      }
    }
    coarser.begins.push_back(coarser.shares.size());
  }
  return coarser;
}

absl::StatusOr<LearnedLevels> LearnCellLevels(base::MatrixView centroids, int depth, base::Metric metric,
                                              std::size_t most_learned, const CellTargets& training,
                                              const CellTargets& held_out,
                                              const CellLearningOptions& options) {
  const QueryScale scale(training.queries);
  LearnedLevels learned;
  LearnedMap finest;  // of what was learned
  int finest_level = 0;
  for (int level = kCoarsestLevel + depth % 2; level <= depth; level += 2) {
    const int below = depth - level;
    const std::size_t nodes = std::size_t{1} << level;
    if (below == 0 && nodes <= most_learned) break;  // the map of the cells is learned by itself
    const base::AlignedMatrix means = NodeMeans(centroids, below, metric);
    const std::vector<float> biases = QueryBiases(means, metric);
    LinearScores scores;
    if (nodes <= most_learned) {
      TRIVIUM_ASSIGN_OR_RETURN(finest, LearnCellMap(means.view(), biases, Coarser(training, below),
                                                    Coarser(held_out, below), options));
      finest_level = level;
      scores.biases = finest.learned.biases;
      scores.weights = base::AlignedMatrix(nodes, centroids.columns);
      for (std::size_t i = 0; i < nodes; ++i) {
        std::copy_n(finest.learned.weights.row(i), centroids.columns, scores.weights.row(i));
      }
    } else {
      scores = scale.Unscaled(scale.ScaledScores(means.view(), biases, options.steepness));
      if (finest_level > 0) Inherit(finest, level - finest_level, &scores);
    }
    if (below > 0) {
      learned.levels.push_back(std::move(scores));
    } else {
      learned.leaves.start = scale.Unscaled(scale.ScaledScores(means.view(), biases, options.steepness));
      learned.leaves.learned = std::move(scores);
    }
  }
  return learned;
}

}  // namespace trivium::routing
