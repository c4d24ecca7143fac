// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/entry_learner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/aligned_matrix.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr int kIterations = 8;
// More do not move 256 centres much.
constexpr std::size_t kMostClustered = 20'000;
// Of each query, which may become entries.
constexpr std::size_t kAnswers = 10;

void ScaleToUnit(float* row, std::size_t dimension) {
  const float squares = kernels::ActiveDistances().inner_product_f32(row, row, dimension);
  if (squares <= 0) return;
  for (std::size_t j = 0; j < dimension; ++j) row[j] /= std::sqrt(squares);
}

class QueryClusters {
 public:
  QueryClusters(base::MatrixView queries, std::size_t cluster_count, std::uint64_t seed, int thread_count)
      : queries_(queries), thread_count_(thread_count), centers_(queries.columns), cluster_(queries.rows) {
    std::vector<std::uint32_t> order(queries.rows);
    std::iota(order.begin(), order.end(), 0);
    base::Random(seed).Shuffle(order);
    centers_.Resize(std::min(cluster_count, order.size()));
    for (std::size_t c = 0; c < centers_.rows(); ++c) {
      std::copy_n(queries.row(order[c]), queries.columns, centers_.row(c));
      ScaleToUnit(centers_.row(c), queries.columns);
    }
    for (int i = 0; i < kIterations; ++i) {
      Assign();
      MoveCenters();
    }
    Assign();
  }

  std::size_t size() const { return centers_.rows(); }
  const float* center(std::size_t cluster) const { return centers_.row(cluster); }
  std::size_t ClusterOf(std::size_t query) const { return cluster_[query]; }

 private:
  void Assign() {
    const auto inner_product = kernels::ActiveDistances().inner_product_f32;
    base::ParallelFor(queries_.rows, thread_count_, 64, [&](std::size_t i, int) {
      float best = -std::numeric_limits<float>::infinity();
      for (std::size_t c = 0; c < centers_.rows(); ++c) {
        const float product = inner_product(queries_.row(i), centers_.row(c), queries_.columns);
        if (product > best) {
          best = product;
          cluster_[i] = static_cast<std::uint32_t>(c);
        }
      }
    });
  }

  // A centre without queries stays where it is.
  void MoveCenters() {
    base::AlignedMatrix sums(queries_.columns);
    sums.Resize(centers_.rows());
    std::vector<bool> used(centers_.rows(), false);
    for (std::size_t i = 0; i < queries_.rows; ++i) {
      float* sum = sums.row(cluster_[i]);
      if (!used[cluster_[i]]) std::fill_n(sum, queries_.columns, 0.0f);
      used[cluster_[i]] = true;
      for (std::size_t j = 0; j < queries_.columns; ++j) sum[j] += queries_.row(i)[j];
    }
    for (std::size_t c = 0; c < centers_.rows(); ++c) {
      if (!used[c]) continue;
      ScaleToUnit(sums.row(c), queries_.columns);
      std::copy_n(sums.row(c), queries_.columns, centers_.row(c));
    }
  }

  base::MatrixView queries_;
  int thread_count_;
  base::AlignedMatrix centers_;
  std::vector<std::uint32_t> cluster_;
};

}  // namespace

std::vector<std::uint32_t> LearnEntries(const index::RowsView& rows, const QueryAnswers& training,
                                        std::size_t entry_count, std::uint64_t seed, int thread_count) {
  const base::MatrixView& all = training.queries;
  const std::size_t step = std::max<std::size_t>(1, (all.rows + kMostClustered - 1) / kMostClustered);
  const base::MatrixView queries(all.data, (all.rows + step - 1) / step, all.columns, all.stride * step);
  const QueryClusters clusters(queries, entry_count, seed, thread_count);

  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  std::vector<float> best(clusters.size(), -std::numeric_limits<float>::infinity());
  std::vector<std::uint32_t> entries(clusters.size(), std::numeric_limits<std::uint32_t>::max());
  std::vector<float> row(rows.columns);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const std::size_t cluster = clusters.ClusterOf(i);
    const auto answers = training.AnswersOf(i * step);
    for (const std::uint32_t answer : answers.first(std::min(kAnswers, answers.size()))) {
      rows.CopyRow(answer, row.data());
      const float product = inner_product(row.data(), clusters.center(cluster), rows.columns);
      if (product <= best[cluster]) continue;
      best[cluster] = product;
      entries[cluster] = answer;
    }
  }
  std::sort(entries.begin(), entries.end());
  entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
  if (!entries.empty() && entries.back() == std::numeric_limits<std::uint32_t>::max()) entries.pop_back();
  return entries;
}

}  // namespace trivium::routing
