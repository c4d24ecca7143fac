// SPDX-License-Identifier: Apache-2.0
// What routers of cells are taught and judged by: queries and documents asked as such, with their nearest
// documents, dealt to parts of which none sees another.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "routing/tree/cell_answers.h"

namespace trivium::routing {

// More queries or documents teach hardly more and take longer to answer.
inline constexpr std::size_t kMostLessonQueries = 40'000;
inline constexpr std::size_t kMostLessonDocuments = 20'000;
// Nearest documents of one that teaches: those beyond kCellAnswers count half. On 160,955 MiniLM vectors in
// 1,024 cells, rows read for questions at recall 0.95: 32: 3.67 %, 20: 3.78 %, 10: 3.83 %.
inline constexpr std::size_t kLessonAnswers = 32;

// Queries with documents nearest to them.
struct AskedQueries {
  base::AlignedMatrix queries;
  std::size_t answer_count = 0;
  std::vector<std::uint32_t> answers;  // answer_count of each, nearest first

  // The first kCellAnswers, or all, of the queries [first, last).
  std::vector<std::uint32_t> Nearest(std::size_t first, std::size_t last) const;
  std::size_t nearest_count() const { return answer_count < kCellAnswers ? answer_count : kCellAnswers; }

  // Those of all answers, in cells.
  CellTargets Targets(absl::Span<const std::uint32_t> cell_of) const;
};

struct CellLessons {
  AskedQueries training;  // queries and about as many documents
  AskedQueries stop;      // says when to stop: queries, then documents
  std::size_t stop_queries = 0;
  AskedQueries validation;                                   // queries held out
  AskedQueries documents;                                    // held out
  std::size_t training_queries = 0, training_documents = 0;  // those of `training` and `stop`
};

struct LessonOptions {
  double validation_share = 0.2;
  std::uint64_t seed = 0;
  int thread_count = 1;
  std::function<void(std::size_t done, std::size_t total)> progress;  // on the calling thread
  const std::atomic<bool>* cancelled = nullptr;
};

// A document that is asked does not see itself. Without queries only `documents` are filled in. kCancelled.
// Cost: (queries + documents asked) x documents x dimension.
absl::StatusOr<CellLessons> GatherLessons(base::MatrixView documents, base::Metric metric,
                                          base::MatrixView queries, const LessonOptions& options);

}  // namespace trivium::routing
