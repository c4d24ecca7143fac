// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/query_answers.h"

#include <algorithm>

#include "absl/status/status.h"
#include "base/thread_pool.h"
#include "index/search_scratch.h"

namespace trivium::routing {
namespace {

// Of a walk that finds nearly everything, for each answer.
constexpr std::size_t kWidthAnAnswer = 12;
constexpr std::size_t kChunk = 64;

}  // namespace

absl::StatusOr<QueryAnswers> FindAnswers(
    const index::SearchableRows& searched, base::MatrixView queries, std::size_t answer_count,
    int thread_count, const std::atomic<bool>* cancelled,
    const std::function<void(std::size_t done, std::size_t total)>& progress) {
  QueryAnswers answered;
  answered.queries = queries;
  answered.answer_count = std::min(answer_count, searched.rows.rows);
  answered.answers.resize(queries.rows * answered.answer_count);
  index::SearchParameters parameters;
  parameters.k = answered.answer_count;
  parameters.beam_width = kWidthAnAnswer * answered.answer_count;
  const auto is_cancelled = [&] {
    return cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
  };
  struct Work {
    index::SearchScratch scratch;
    std::vector<std::vector<base::Neighbor>> found{kChunk};
  };
  std::vector<Work> works(thread_count);
  std::atomic<std::size_t> done{0};
  base::ParallelFor((queries.rows + kChunk - 1) / kChunk, thread_count, 1, [&](std::size_t item, int thread) {
    if (is_cancelled()) return;
    const std::size_t first = item * kChunk, count = std::min(kChunk, queries.rows - first);
    auto& [scratch, found] = works[thread];
    index::SearchRowsWithGraph(searched,
                               base::MatrixView(queries.row(first), count, queries.columns, queries.stride),
                               parameters, &scratch, found.data(), nullptr);
    for (std::size_t i = 0; i < count; ++i) {
      std::transform(found[i].begin(), found[i].end(),
                     answered.answers.begin() + (first + i) * answered.answer_count,
                     [](const base::Neighbor& neighbor) { return neighbor.row; });
    }
    done.fetch_add(count, std::memory_order_relaxed);
    if (thread == 0 && progress) progress(done.load(std::memory_order_relaxed), queries.rows);
  });
  if (progress) progress(queries.rows, queries.rows);
  if (is_cancelled()) return absl::CancelledError("graph training: cancelled by the caller");
  return answered;
}

}  // namespace trivium::routing
