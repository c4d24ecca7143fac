// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_router.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr auto kBetter = [](const auto& a, const auto& b) {
  return a.score != b.score ? a.score > b.score : a.cell < b.cell;
};

// Never NaN, which would not let scores be sorted: weights of a file may be as large as floats are.
float Sortable(float score) { return std::max(-std::numeric_limits<float>::infinity(), score); }

}  // namespace

void CellOrder::Start(const CellModel& model, CellRouterKind kind, const float* query, std::size_t count) {
  model_ = &model;
  query_ = query;
  products_ = 0;
  ranked_.clear();
  sorted_ = 0;
  count = std::min(count, model.cell_count());
  const std::size_t beam = std::min(std::max(kBeamOverCount * count, kNarrowestBeam), model.cell_count());
  switch (kind) {
    case CellRouterKind::kCentroids:
      ScoreAll(model.centroids(), model.centroid_biases());
      break;
    case CellRouterKind::kMap:
      ScoreAll(model.parts().map.weights.view(), model.parts().map.biases);
      break;
    case CellRouterKind::kTree:
      Descend(beam);
      break;
    case CellRouterKind::kLevels:
      DescendLevels(beam);
      break;
  }
  SortUpTo(count);
}

void CellOrder::ScoreAll(base::MatrixView weights, absl::Span<const float> biases) {
  products_of_.resize(weights.rows);
  kernels::ActiveDistances().inner_product_f32_rows(query_, weights.data, weights.stride, weights.rows,
                                                    weights.columns, products_of_.data());
  products_ += weights.rows;
  for (std::size_t i = 0; i < weights.rows; ++i) {
    ranked_.push_back({Sortable(products_of_[i] + biases[i]), static_cast<std::uint32_t>(i)});
  }
}

void CellOrder::Gather(base::MatrixView weights) {
  rows_.clear();
  for (const Scored& scored : beam_) rows_.push_back(scored.cell);
  products_of_.resize(rows_.size());
  kernels::ActiveDistances().inner_product_f32_gather(query_, weights.data, weights.stride, rows_.data(),
                                                      rows_.size(), weights.columns, products_of_.data());
  products_ += rows_.size();
}

void CellOrder::Descend(std::size_t beam) {
  const CellParts& parts = model_->parts();
  beam_.assign(1, {0.0f, 0});
  for (int level = 0; level < parts.depth; ++level) {
    Gather(parts.splits.weights.view());
    children_.clear();
    for (std::size_t i = 0; i < beam_.size(); ++i) {
      const auto [score, node] = beam_[i];
      const float z = Sortable(products_of_[i] + parts.splits.biases[node]);
      // Logarithms of the logistic function of z and of -z, without overflow.
      const float both = std::log1p(std::exp(-std::abs(z)));
      children_.push_back({Sortable(score - std::max(z, 0.0f) - both), 2 * node + 1});
      children_.push_back({Sortable(score + std::min(z, 0.0f) - both), 2 * node + 2});
    }
    KeepBest(beam, &children_);
    beam_.swap(children_);
  }
  const auto first_leaf = static_cast<std::uint32_t>(model_->cell_count() - 1);
  for (Scored& leaf : beam_) leaf.cell -= first_leaf;
  if (parts.centroid_weight != 0) {
    Gather(model_->centroids());
    for (std::size_t i = 0; i < beam_.size(); ++i) {
      const float similarity = products_of_[i] + model_->centroid_biases()[beam_[i].cell];
      beam_[i].score = Sortable(beam_[i].score + parts.centroid_weight * similarity);
    }
  }
  ranked_.swap(beam_);
}

void CellOrder::DescendLevels(std::size_t beam) {
  const std::vector<LinearScores>& levels = model_->parts().levels;
  // Where all nodes fit into the beam there is nothing to choose.
  std::size_t level = 0;
  while (level + 1 < levels.size() && levels[level + 1].weights.rows() <= beam) ++level;
  ScoreAll(levels[level].weights.view(), levels[level].biases);
  beam_.swap(ranked_);
  ranked_.clear();
  for (++level; level <= levels.size(); ++level) {
    const LinearScores& scores = level < levels.size() ? levels[level] : model_->parts().map;
    KeepBest(beam, &beam_);
    children_.clear();
    for (const Scored& node : beam_) {
      for (std::uint32_t child = 0; child < 4; ++child) children_.push_back({0, 4 * node.cell + child});
    }
    beam_.swap(children_);
    Gather(scores.weights.view());
    for (std::size_t i = 0; i < beam_.size(); ++i) {
      beam_[i].score = Sortable(products_of_[i] + scores.biases[beam_[i].cell]);
    }
  }
  ranked_.swap(beam_);
}

void CellOrder::KeepBest(std::size_t beam, std::vector<Scored>* nodes) const {
  if (nodes->size() <= beam) return;
  std::nth_element(nodes->begin(), nodes->begin() + beam, nodes->end(), kBetter);
  nodes->resize(beam);
}

void CellOrder::SortUpTo(std::size_t end) {
  end = std::min(end, ranked_.size());
  if (end <= sorted_) return;
  std::partial_sort(ranked_.begin() + sorted_, ranked_.begin() + end, ranked_.end(), kBetter);
  sorted_ = end;
}

void CellOrder::Extend(std::size_t position) {
  if (position >= ranked_.size()) {
    SortUpTo(ranked_.size());
    listed_.assign(model_->cell_count(), false);
    for (const Scored& scored : ranked_) listed_[scored.cell] = true;
    const std::size_t reached = ranked_.size();
    ScoreAll(model_->centroids(), model_->centroid_biases());
    ranked_.erase(std::remove_if(ranked_.begin() + reached, ranked_.end(),
                                 [&](const Scored& scored) { return listed_[scored.cell]; }),
                  ranked_.end());
  }
  SortUpTo(std::max(position + 1, 2 * sorted_));
}

}  // namespace trivium::routing
