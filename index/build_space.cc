// SPDX-License-Identifier: Apache-2.0
#include "index/build_space.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/thread_pool.h"
#include "base/top_k.h"

namespace trivium::index {
namespace {

// Codes are tried on the nearest rows of a few.
constexpr std::size_t kProbes = 8;
constexpr std::size_t kNearest = 10;

// Error that is let through, in shares of the distance (MiniLM: 0.001), and of 2 M^2 (see build_space.h):
// what is less than that has no exact distance either.
constexpr double kDistanceShare = 0.02;
constexpr double kSphereShare = 1e-6;

}  // namespace

BuildSpace::BuildSpace(const RowsView& rows, base::Metric metric)
    : rows_(rows), distances_(rows, metric), inner_product_(base::UsesInnerProduct(metric)) {
  if (metric == base::Metric::kCosine) constant_ = 2.0f;
  if (metric != base::Metric::kInnerProduct) return;
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  extra_.resize(rows.rows);
  std::vector<float> memory(rows.columns);
  float largest = 0;
  for (std::size_t i = 0; i < rows.rows; ++i) {
    const float* row = rows.Decoded(i, memory.data());
    extra_[i] = inner_product(row, row, rows.columns);
    largest = std::max(largest, extra_[i]);
  }
  for (float& value : extra_) value = std::sqrt(std::max(0.0f, largest - value));
  constant_ = 2.0f * largest;
}

bool BuildSpace::UseCodes(int thread_count) {
  const std::size_t probes = std::min(kProbes, rows_.rows);
  BuildCodes codes(rows_, thread_count);
  std::vector<Blur> blurs(probes);
  base::ParallelFor(probes, thread_count, 1, [&](std::size_t i, int) {
    blurs[i] = MeasureBlur(codes, static_cast<std::uint32_t>(i * rows_.rows / probes));
  });
  Blur total;
  for (const Blur& blur : blurs) {
    total.error += blur.error;
    total.allowed += blur.allowed;
  }
  if (!(total.error <= total.allowed)) return false;
  codes_.emplace(std::move(codes));
  return true;
}

void BuildSpace::GatherDecoded(std::uint32_t from, const std::uint32_t* to, std::size_t count,
                               float* out) const {
  thread_local std::vector<float> row;
  thread_local RowQueryWords words;
  row.resize(rows_.columns);
  rows_.CopyRow(from, row.data());
  distances_.Gather(words.Prepare(rows_.format, row.data(), rows_.columns), to, count, out);
}

BuildSpace::Blur BuildSpace::MeasureBlur(const BuildCodes& codes, std::uint32_t row) const {
  constexpr std::size_t kBlock = 1024;
  std::vector<std::uint32_t> rows(kBlock);
  std::vector<float> distances(kBlock);
  base::TopK nearest;
  nearest.Reset(kNearest);
  for (std::size_t first = 0; first < rows_.rows; first += kBlock) {
    const std::size_t count = std::min(kBlock, rows_.rows - first);
    std::iota(rows.begin(), rows.end(), static_cast<std::uint32_t>(first));
    ExactDistances(row, rows.data(), count, distances.data());
    for (std::size_t i = 0; i < count; ++i) {
      if (rows[i] != row && distances[i] < nearest.Bound()) nearest.Push({distances[i], rows[i]});
    }
  }
  std::vector<base::Neighbor> found;
  nearest.DrainSorted(&found);
  Blur blur;
  for (const base::Neighbor& neighbor : found) {
    float coded;
    CodedDistances(codes, row, &neighbor.row, 1, &coded);
    blur.error += std::fabs(coded - neighbor.distance);
    blur.allowed += kDistanceShare * std::max(0.0f, neighbor.distance) + kSphereShare * constant_;
  }
  return blur;
}

std::uint32_t BuildSpace::Medoid() const {
  if (rows_.rows == 0) return 0;
  std::vector<double> sum(rows_.columns, 0.0);
  std::vector<float> memory(rows_.columns);
  double extra_sum = 0;
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    const float* row = rows_.Decoded(i, memory.data());
    for (std::size_t j = 0; j < rows_.columns; ++j) sum[j] += row[j];
    if (!extra_.empty()) extra_sum += extra_[i];
  }
  std::vector<float> mean(rows_.columns);
  for (std::size_t j = 0; j < rows_.columns; ++j) mean[j] = static_cast<float>(sum[j] / rows_.rows);
  const float extra_mean = static_cast<float>(extra_sum / rows_.rows);
  RowQueryWords words;
  const RowQuery query = words.Prepare(rows_.format, mean.data(), rows_.columns);

  std::uint32_t best = 0;
  float best_distance = std::numeric_limits<float>::infinity();
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    float distance;
    distances_.Block(query, i, 1, &distance);
    if (!extra_.empty()) distance -= extra_mean * extra_[i];
    if (distance < best_distance) {
      best_distance = distance;
      best = static_cast<std::uint32_t>(i);
    }
  }
  return best;
}

}  // namespace trivium::index
