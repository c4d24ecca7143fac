// SPDX-License-Identifier: Apache-2.0
// Queries with the documents nearest to them, and the cells in which these lie: what a router is taught by.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "base/metric.h"

namespace trivium::routing {

// The neighbours that shall be found.
inline constexpr std::size_t kCellAnswers = 10;

// The `count` documents nearest to each query, nearest first, by comparing all; at most as many as there are.
// `hidden` is empty, or names for each query a document that it does not see: itself. kCancelled.
// Cost: queries x documents x dimension; 10,000 queries of 160,955 x 384 take 20 s on two threads
// of a busy machine.
absl::StatusOr<std::vector<std::uint32_t>> NearestDocuments(
    base::MatrixView documents, base::Metric metric, base::MatrixView queries, std::size_t count,
    absl::Span<const std::uint32_t> hidden, int thread_count, const std::atomic<bool>* cancelled,
    const std::function<void(std::size_t done)>& progress = {});

// For each query which share of its nearest documents each cell holds.
struct CellTargets {
  struct Share {
    std::uint32_t cell;
    float share;
  };
  base::MatrixView queries;         // borrowed
  std::vector<std::size_t> begins;  // of each query in `shares`, and the end
  std::vector<Share> shares;        // of a query by increasing cell, each > 0, adding up to 1

  absl::Span<const Share> Of(std::size_t query) const {
    return absl::MakeConstSpan(shares).subspan(begins[query], begins[query + 1] - begins[query]);
  }
};

// `answers`: `count` documents of each query; document d counts as weights[its place]; all alike where
// `weights` is empty.
CellTargets TargetsOf(base::MatrixView queries, absl::Span<const std::uint32_t> answers, std::size_t count,
                      absl::Span<const std::uint32_t> cell_of, absl::Span<const float> weights = {});

}  // namespace trivium::routing
