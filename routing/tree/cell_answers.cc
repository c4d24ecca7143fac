// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_answers.h"

#include <algorithm>
#include <numeric>

#include "absl/status/status.h"
#include "base/aligned_matrix.h"
#include "base/thread_pool.h"
#include "base/top_k.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

// Queries that share a pass over the documents, and documents whose products wait in the second cache.
constexpr std::size_t kQueries = 128;
constexpr std::size_t kDocuments = 512;

}  // namespace

absl::StatusOr<std::vector<std::uint32_t>> NearestDocuments(
    base::MatrixView documents, base::Metric metric, base::MatrixView queries, std::size_t count,
    absl::Span<const std::uint32_t> hidden, int thread_count, const std::atomic<bool>* cancelled,
    const std::function<void(std::size_t done)>& progress) {
  count = std::min(count, documents.rows - (hidden.empty() || documents.rows == 0 ? 0 : 1));
  std::vector<std::uint32_t> answers(queries.rows * count);
  std::vector<float> biases(documents.rows, 0.0f);
  if (metric == base::Metric::kSquaredL2) {
    for (std::size_t i = 0; i < documents.rows; ++i) {
      biases[i] = kernels::ActiveDistances().inner_product_f32(documents.row(i), documents.row(i),
                                                               documents.columns) /
                  -2;
    }
  }
  const auto is_cancelled = [&] {
    return cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
  };
  struct Work {
    base::AlignedMatrix products{kQueries, kDocuments};
    std::vector<base::TopK> tops{kQueries};
    std::vector<base::Neighbor> found;
  };
  std::vector<Work> works(std::max(thread_count, 1));
  std::atomic<std::size_t> done{0};
  base::ParallelFor(
      (queries.rows + kQueries - 1) / kQueries, thread_count, 1, [&](std::size_t block, int thread) {
        if (is_cancelled()) return;
        Work& work = works[thread];
        const std::size_t first = block * kQueries, some = std::min(kQueries, queries.rows - first);
        const base::MatrixView asked(queries.row(first), some, queries.columns, queries.stride);
        for (std::size_t i = 0; i < some; ++i) work.tops[i].Reset(count);
        for (std::size_t at = 0; at < documents.rows; at += kDocuments) {
          const std::size_t width = std::min(kDocuments, documents.rows - at);
          kernels::MultiplyByTransposed(
              asked, base::MatrixView(documents.row(at), width, documents.columns, documents.stride), 1,
              &work.products);
          for (std::size_t i = 0; i < some; ++i) {
            const float* products = work.products.row(i);
            float bound = work.tops[i].Bound();
            for (std::size_t j = 0; j < width; ++j) {
              const float distance = -products[j] - biases[at + j];
              if (!(distance <= bound)) continue;
              if (!hidden.empty() && hidden[first + i] == at + j) continue;
              work.tops[i].Push({distance, static_cast<std::uint32_t>(at + j)});
              bound = work.tops[i].Bound();
            }
          }
        }
        for (std::size_t i = 0; i < some; ++i) {
          work.tops[i].DrainSorted(&work.found);
          for (std::size_t j = 0; j < work.found.size(); ++j) {
            answers[(first + i) * count + j] = work.found[j].row;
          }
        }
        const std::size_t now = done.fetch_add(some, std::memory_order_relaxed) + some;
        if (thread == 0 && progress) progress(now);
      });
  if (is_cancelled()) return absl::CancelledError("cells: cancelled by the caller");
  return answers;
}

CellTargets TargetsOf(base::MatrixView queries, absl::Span<const std::uint32_t> answers, std::size_t count,
                      absl::Span<const std::uint32_t> cell_of, absl::Span<const float> weights) {
  CellTargets targets;
  targets.queries = queries;
  targets.begins.push_back(0);
  double sum = static_cast<double>(count);
  if (!weights.empty()) sum = std::accumulate(weights.begin(), weights.begin() + count, 0.0);
  std::vector<CellTargets::Share> own;
  for (std::size_t query = 0; query < queries.rows; ++query) {
    own.clear();
    for (std::size_t i = 0; i < count; ++i) {
      own.push_back({cell_of[answers[query * count + i]],
                     static_cast<float>((weights.empty() ? 1.0 : weights[i]) / sum)});
    }
    std::sort(own.begin(), own.end(), [](const auto& a, const auto& b) { return a.cell < b.cell; });
    for (const CellTargets::Share& share : own) {
      const bool is_new =
          targets.shares.size() == targets.begins.back() || targets.shares.back().cell != share.cell;
      if (is_new) {
        targets.shares.push_back(share);
      } else {
        targets.shares.back().share += share.share;
      }
    }
    targets.begins.push_back(targets.shares.size());
  }
  return targets;
}

}  // namespace trivium::routing
