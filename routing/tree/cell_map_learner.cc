// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_map_learner.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/matrix_products.h"
#include "routing/learning/adam_optimizer.h"
#include "routing/tree/query_scale.h"

namespace trivium::routing {
namespace {

constexpr int kPatience = 2;  // epochs without a lower loss

// Everything is kept with a column a query, so that both products are shared out by cells and loops over
// queries are loops over lanes.
struct Batch {
  base::AlignedMatrix queries;     // a row a query
  base::AlignedMatrix transposed;  // a column a query
  base::AlignedMatrix logits;      // cells x queries; then the gradient by logits
  std::vector<float> largest;      // of each query
  std::vector<double> sums;

  Batch(std::size_t size, std::size_t columns, std::size_t cells)
      : queries(size, columns), transposed(columns, size), logits(cells, size), largest(size), sums(size) {}
};

// Queries handled by one thread at a time: 4 cache lines of a row of logits.
constexpr std::size_t kLanes = 64;

// Softmax of the columns [first, last) minus shares, times `scale`; returns the sum of the cross-entropies.
double FillColumns(const CellTargets& targets, std::span<const std::uint32_t> chosen, std::size_t first,
                   std::size_t last, float scale, Batch* batch) {
  base::AlignedMatrix& logits = batch->logits;
  float* largest = batch->largest.data();
  double* sums = batch->sums.data();
  std::copy_n(logits.row(0) + first, last - first, largest + first);
  for (std::size_t cell = 1; cell < logits.rows(); ++cell) {
    const float* row = logits.row(cell);
    for (std::size_t i = first; i < last; ++i) largest[i] = row[i] > largest[i] ? row[i] : largest[i];
  }
  double loss = 0;
  for (std::size_t i = first; i < last; ++i) {
    sums[i] = 0;
    for (const CellTargets::Share& share : targets.Of(chosen[i])) {
      loss -= double{share.share} * (logits.row(share.cell)[i] - largest[i]);
    }
  }
  for (std::size_t cell = 0; cell < logits.rows(); ++cell) {
    float* row = logits.row(cell);
    for (std::size_t i = first; i < last; ++i) {
      row[i] = std::exp(row[i] - largest[i]);
      sums[i] += row[i];
    }
  }
  for (std::size_t i = first; i < last; ++i) {
    loss += std::log(sums[i]);
    largest[i] = static_cast<float>(scale / sums[i]);  // no longer needed: now the factor
  }
  for (std::size_t cell = 0; cell < logits.rows(); ++cell) {
    float* row = logits.row(cell);
    for (std::size_t i = first; i < last; ++i) row[i] *= largest[i];
  }
  for (std::size_t i = first; i < last; ++i) {
    for (const CellTargets::Share& share : targets.Of(chosen[i])) {
      logits.row(share.cell)[i] -= scale * share.share;
    }
  }
  return loss;
}

// Logits of chosen queries, at most as many as the batch has room for, turned into the gradient; the mean
// loss. Columns of the batch beyond them are of no query.
double FillGradient(const base::AlignedMatrix& weights, base::MatrixView queries, const CellTargets& targets,
                    std::span<const std::uint32_t> chosen, int thread_count, Batch* batch) {
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    std::copy_n(queries.row(chosen[i]), queries.columns, batch->queries.row(i));
  }
  kernels::MultiplyByTransposed(weights.view(), batch->queries.view().First(chosen.size()), thread_count,
                                &batch->logits);
  const float scale = 1.0f / static_cast<float>(chosen.size());
  const std::size_t blocks = (chosen.size() + kLanes - 1) / kLanes;
  std::vector<double> losses(blocks);
  base::ParallelFor(blocks, thread_count, 1, [&](std::size_t block, int) {
    const std::size_t first = block * kLanes, last = std::min(first + kLanes, chosen.size());
    losses[block] = FillColumns(targets, chosen, first, last, scale, batch);
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0) * scale;
}

// The mean of the gradients by logits times queries, after FillGradient: overwrites `gradient`.
void MultiplyGradient(std::size_t count, int thread_count, Batch* batch, base::AlignedMatrix* gradient) {
  const std::size_t columns = batch->queries.columns();
  for (std::size_t i = 0; i < count; ++i) {
    const float* query = batch->queries.row(i);
    for (std::size_t c = 0; c < columns; ++c) batch->transposed.row(c)[i] = query[c];
  }
  const auto cut = [&](const base::AlignedMatrix& matrix) {
    return base::MatrixView(matrix.row(0), matrix.rows(), count, matrix.stride());
  };
  kernels::MultiplyByTransposed(cut(batch->logits), cut(batch->transposed), thread_count, gradient);
}

double MeanLoss(const base::AlignedMatrix& weights, base::MatrixView queries, const CellTargets& targets,
                int thread_count, Batch* batch) {
  std::vector<std::uint32_t> all(queries.rows);
  std::iota(all.begin(), all.end(), 0u);
  double sum = 0;
  for (std::size_t first = 0; first < all.size(); first += batch->queries.rows()) {
    const auto some = std::span(all).subspan(first, std::min(batch->queries.rows(), all.size() - first));
    sum +=
        FillGradient(weights, queries, targets, some, thread_count, batch) * static_cast<double>(some.size());
  }
  return sum / static_cast<double>(queries.rows);
}

void Copy(const base::AlignedMatrix& from, base::AlignedMatrix* to) {
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.columns(), to->row(i));
}

}  // namespace

double MapGradient(const base::AlignedMatrix& weights, base::MatrixView queries, const CellTargets& targets,
                   std::span<const std::uint32_t> chosen, int thread_count, base::AlignedMatrix* gradient) {
  Batch batch(chosen.size(), queries.columns, weights.rows());
  const double loss = FillGradient(weights, queries, targets, chosen, thread_count, &batch);
  MultiplyGradient(chosen.size(), thread_count, &batch, gradient);
  return loss;
}

absl::StatusOr<LearnedMap> LearnCellMap(base::MatrixView centroids, absl::Span<const float> biases,
                                        const CellTargets& training, const CellTargets& held_out,
                                        const CellLearningOptions& options) {
  const QueryScale scale(training.queries);
  const base::AlignedMatrix queries = scale.Scaled(training.queries);
  const base::AlignedMatrix held_queries = scale.Scaled(held_out.queries);
  base::AlignedMatrix weights = scale.ScaledScores(centroids, biases, options.steepness);
  LearnedMap map;
  map.start = scale.Unscaled(weights);
  base::AlignedMatrix best(weights.rows(), weights.columns());
  base::AlignedMatrix gradient(weights.rows(), weights.columns());
  Copy(weights, &best);
  Batch batch(options.batch, queries.columns(), weights.rows());
  double best_loss = MeanLoss(weights, held_queries.view(), held_out, options.thread_count, &batch);
  AdamOptimizer adam(options.rate);
  base::Random random(options.seed);
  std::vector<std::uint32_t> order(queries.rows());
  std::iota(order.begin(), order.end(), 0u);
  int waited = 0;
  for (int epoch = 0; epoch < options.epochs && waited < kPatience; ++epoch) {
    random.Shuffle(order);
    for (std::size_t first = 0; first < order.size(); first += options.batch) {
      if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError("cells: cancelled by the caller");
      }
      const double passed = (epoch + static_cast<double>(first) / static_cast<double>(order.size())) /
                            static_cast<double>(options.epochs);
      const double share = 0.55 + 0.45 * std::cos(std::numbers::pi * passed);
      const auto chosen = std::span(order).subspan(first, std::min(options.batch, order.size() - first));
      FillGradient(weights, queries.view(), training, chosen, options.thread_count, &batch);
      MultiplyGradient(chosen.size(), options.thread_count, &batch, &gradient);
      adam.Step(gradient, &weights, share);
    }
    const double loss = MeanLoss(weights, held_queries.view(), held_out, options.thread_count, &batch);
    if (loss < best_loss) {
      best_loss = loss;
      Copy(weights, &best);
      waited = 0;
    } else {
      ++waited;
    }
    if (options.progress) options.progress(epoch + 1);
  }
  map.learned = scale.Unscaled(best);
  return map;
}

}  // namespace trivium::routing
