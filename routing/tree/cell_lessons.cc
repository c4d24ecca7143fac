// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_lessons.h"

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "base/status_macros.h"
#include "routing/graph/training_queries.h"

namespace trivium::routing {
namespace {

constexpr std::size_t kMostJudgedDocuments = 1000;
// One in so many of those that teach says when to stop.
constexpr std::size_t kStopShare = 16, kMostStop = 1000;
constexpr float kFartherWeight = 0.5f;

class Gatherer {
 public:
  Gatherer(base::MatrixView documents, base::Metric metric, const LessonOptions& options, std::size_t total)
      : documents_(documents), metric_(metric), options_(options), total_(total) {
    Tell(0);
  }

  absl::StatusOr<AskedQueries> Ask(base::MatrixView queries, std::size_t count,
                                   absl::Span<const std::uint32_t> hidden) {
    AskedQueries asked;
    asked.queries = base::AlignedMatrix(queries.rows, queries.columns);
    for (std::size_t i = 0; i < queries.rows; ++i) {
      std::copy_n(queries.row(i), queries.columns, asked.queries.row(i));
    }
    // A document has one fewer: whoever asks is hidden.
    asked.answer_count = std::min(count, documents_.rows - 1);
    TRIVIUM_ASSIGN_OR_RETURN(
        asked.answers,
        NearestDocuments(documents_, metric_, asked.queries.view(), asked.answer_count, hidden,
                         options_.thread_count, options_.cancelled, [&](std::size_t done) { Tell(done); }));
    done_ += queries.rows;
    Tell(0);
    return asked;
  }

  absl::StatusOr<AskedQueries> AskDocuments(absl::Span<const std::uint32_t> chosen, std::size_t count) {
    base::AlignedMatrix rows(chosen.size(), documents_.columns);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      std::copy_n(documents_.row(chosen[i]), documents_.columns, rows.row(i));
    }
    return Ask(rows.view(), count, chosen);
  }

 private:
  void Tell(std::size_t more) const {
    if (options_.progress) options_.progress(done_ + more, total_);
  }

  base::MatrixView documents_;
  base::Metric metric_;
  const LessonOptions& options_;
  std::size_t done_ = 0, total_;
};

// Appends the queries [first, last) of `from` to `to`.
void Append(const AskedQueries& from, std::size_t first, std::size_t last, AskedQueries* to) {
  to->answer_count = from.answer_count;
  for (std::size_t i = first; i < last; ++i) to->queries.Append(from.queries.row(i));
  to->answers.insert(to->answers.end(), from.answers.begin() + first * from.answer_count,
                     from.answers.begin() + last * from.answer_count);
}

}  // namespace

std::vector<std::uint32_t> AskedQueries::Nearest(std::size_t first, std::size_t last) const {
  std::vector<std::uint32_t> nearest;
  for (std::size_t i = first; i < last; ++i) {
    const auto own = answers.begin() + static_cast<std::ptrdiff_t>(i * answer_count);
    nearest.insert(nearest.end(), own, own + static_cast<std::ptrdiff_t>(nearest_count()));
  }
  return nearest;
}

CellTargets AskedQueries::Targets(absl::Span<const std::uint32_t> cell_of) const {
  std::vector<float> weights(answer_count, kFartherWeight);
  std::fill_n(weights.begin(), nearest_count(), 1.0f);
  return TargetsOf(queries.view(), answers, answer_count, cell_of, weights);
}

absl::StatusOr<CellLessons> GatherLessons(base::MatrixView documents, base::Metric metric,
                                          base::MatrixView queries, const LessonOptions& options) {
  std::vector<std::uint32_t> drawn(documents.rows);
  std::iota(drawn.begin(), drawn.end(), 0u);
  base::Random(options.seed + 1).Shuffle(drawn);
  const auto chosen = absl::MakeConstSpan(drawn);
  // Of few documents half are kept to judge by.
  const std::size_t judged = std::min(kMostJudgedDocuments, drawn.size() / 2);
  CellLessons lessons;
  if (queries.rows == 0) {
    Gatherer gatherer(documents, metric, options, judged);
    TRIVIUM_ASSIGN_OR_RETURN(lessons.documents, gatherer.AskDocuments(chosen.first(judged), kCellAnswers));
    return lessons;
  }
  const QuerySplit split =
      SplitQueries(queries, options.validation_share, options.seed, options.thread_count);
  const std::size_t taught = std::min(split.training.rows(), kMostLessonQueries);
  const std::size_t beside = std::min({taught, kMostLessonDocuments, drawn.size() - judged});
  Gatherer gatherer(documents, metric, options, split.validation.rows() + judged + taught + beside);
  TRIVIUM_ASSIGN_OR_RETURN(lessons.validation, gatherer.Ask(split.validation.view(), kCellAnswers, {}));
  TRIVIUM_ASSIGN_OR_RETURN(lessons.documents, gatherer.AskDocuments(chosen.first(judged), kCellAnswers));
  TRIVIUM_ASSIGN_OR_RETURN(const AskedQueries asked,
                           gatherer.Ask(split.training.view().First(taught), kLessonAnswers, {}));
  TRIVIUM_ASSIGN_OR_RETURN(const AskedQueries rows,
                           gatherer.AskDocuments(chosen.subspan(judged, beside), kLessonAnswers));
  lessons.training_queries = taught;
  lessons.training_documents = beside;
  lessons.stop_queries = std::min(taught / kStopShare + 1, kMostStop);
  const std::size_t stop_rows = std::min(beside / kStopShare + 1, kMostStop);
  lessons.stop.queries = base::AlignedMatrix(documents.columns);
  lessons.training.queries = base::AlignedMatrix(documents.columns);
  Append(asked, 0, lessons.stop_queries, &lessons.stop);
  Append(rows, 0, stop_rows, &lessons.stop);
  Append(asked, lessons.stop_queries, taught, &lessons.training);
  Append(rows, stop_rows, beside, &lessons.training);
  return lessons;
}

}  // namespace trivium::routing
