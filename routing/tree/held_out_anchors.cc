// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/held_out_anchors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/thread_pool.h"
#include "base/top_k.h"
#include "kernels/distance_table.h"
#include "routing/tree/tree_anchors.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kCompared = 10;  // nearest documents

double EntropyBits(const float* probabilities, std::size_t count) {
  double bits = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (probabilities[i] > 0) bits -= probabilities[i] * std::log2(probabilities[i]);
  }
  return bits;
}

}  // namespace

double LevelMeasure::overlap() const {
  if (overlaps.empty()) return 0;
  return std::accumulate(overlaps.begin(), overlaps.end(), 0.0) / static_cast<double>(overlaps.size());
}

HeldOutAnchors::HeldOutAnchors(base::AlignedMatrix anchors, base::MatrixView documents,
                               std::vector<std::uint32_t> own, int thread_count)
    : anchors_(std::move(anchors)),
      documents_(documents),
      own_(std::move(own)),
      thread_count_(thread_count),
      near_(NearestDocuments(anchors_.view(), documents_, own_, kCompared, thread_count)) {}

std::vector<LevelMeasure> HeldOutAnchors::Measure(const SplitTree& tree,
                                                  const std::vector<std::size_t>& levels) const {
  base::AlignedMatrix anchors, documents;
  AssignMany(tree, anchors_.view(), thread_count_, &anchors);
  AssignMany(tree, documents_, thread_count_, &documents);
  const auto shared_mass = kernels::ActiveDistances().shared_mass_f32;
  std::vector<LevelMeasure> measures;
  for (const std::size_t level : levels) {
    const std::size_t first = std::size_t{1} << level;
    LevelMeasure measure;
    measure.overlaps.resize(size());
    base::ParallelFor(size(), thread_count_, 1, [&](std::size_t i, int) {
      base::TopK best;
      best.Reset(kCompared);
      for (std::size_t j = 0; j < documents.rows(); ++j) {
        if (own_[i] == j) continue;
        best.Push({-shared_mass(anchors.row(i) + first, documents.row(j) + first, first),
                   static_cast<std::uint32_t>(j)});
      }
      std::vector<base::Neighbor> found;
      best.DrainSorted(&found);
      std::ptrdiff_t common = 0;
      for (const base::Neighbor& one : found) common += std::count(near_[i].begin(), near_[i].end(), one.row);
      measure.overlaps[i] =
          static_cast<double>(common) / static_cast<double>(std::max<std::size_t>(1, near_[i].size()));
    });
    for (std::size_t j = 0; j < documents.rows(); ++j) {
      measure.entropy += EntropyBits(documents.row(j) + first, first) / static_cast<double>(documents.rows());
    }
    measures.push_back(std::move(measure));
  }
  return measures;
}

}  // namespace trivium::routing
