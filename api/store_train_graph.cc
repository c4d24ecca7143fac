// SPDX-License-Identifier: Apache-2.0
// Teaching the graphs of sealed segments from queries; routing/graph/ does the learning.
#include <algorithm>
#include <chrono>
#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/generated_queries.h"
#include "api/graph_training.h"
#include "api/query_vectors.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

absl::StatusOr<std::size_t> QueryCount(const TrainGraphOptions& options,
                                       absl::Span<const std::string> texts) {
  std::size_t count = texts.size();
  for (const SpaceVectors& given : options.vectors) {
    if (count == 0) count = given.vectors.rows;
    if (given.vectors.rows != count) {
      return absl::InvalidArgumentError(absl::StrFormat("query vectors of space '%s': %d rows, expected %d",
                                                        given.space, given.vectors.rows, count));
    }
  }
  if (count < routing::kFewestTrainingQueries && !options.training.fine_tune) {
    return absl::InvalidArgumentError(absl::StrFormat("training queries: %d, expected at least %d", count,
                                                      routing::kFewestTrainingQueries));
  }
  return count;
}

}  // namespace

absl::StatusOr<TrainGraphReport> Store::TrainGraph(const TrainGraphOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.training.Validate());
  const bool generate = options.texts.empty() && options.vectors.empty() && !options.training.fine_tune;
  if (!generate) TRIVIUM_RETURN_IF_ERROR(QueryCount(options, options.texts).status());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::set<std::uint32_t> chosen, SetsOfExpert(*state, options.expert));
  TrainGraphReport report;
  std::vector<std::shared_ptr<const VectorSet>> sets;
  std::set<std::uint32_t> spaces;
  for (const std::uint32_t i : chosen) {
    for (const VectorPart& part : state->sets[i]->parts()) {
      if (part.segment == nullptr) continue;
      if (part.segment->graph().size() < routing::kSmallestTrainedGraph) {
        ++report.too_small;
        continue;
      }
      spaces.insert(state->sets[i]->space());
      if (sets.empty() || sets.back() != state->sets[i]) sets.push_back(state->sets[i]);
    }
  }
  if (sets.empty()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "train graph: no sealed segment of at least %d rows (%d smaller ones), expected one; build first",
        routing::kSmallestTrainedGraph, report.too_small));
  }
  std::vector<std::string> texts = options.texts;
  if (generate) {
    std::set<std::uint32_t> partitions;
    for (const std::shared_ptr<const VectorSet>& set : sets) partitions.insert(set->partition());
    TRIVIUM_ASSIGN_OR_RETURN(texts, GenerateQueries(*state, partitions, options.training.seed));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::size_t query_count, QueryCount(options, texts));
  PreparedQueries queries;
  if (query_count > 0) {
    TRIVIUM_ASSIGN_OR_RETURN(
        queries, impl_->PrepareForSpaces(*state, "train graph", query_count, options.vectors, texts, spaces));
  }

  std::vector<std::string> written, obsolete;
  absl::Cleanup discard = [&] {
    for (const std::string& file : written)
      storage::RemoveFile(impl_->SegmentsDirectory() + "/" + file).IgnoreError();
  };
  GraphTrainingOptions learning = options.training;
  for (const std::shared_ptr<const VectorSet>& set : sets) {
    VectorSet taught = *set;
    const base::AlignedMatrix* given = queries.Find(set->space());
    base::MatrixView asked = given != nullptr ? given->view() : base::MatrixView();
    base::AlignedMatrix together;
    if (options.training.fine_tune) {
      together = routing::JoinQueries(set->dimension(), {Impl::LessonsOf(*set).queries.view(), asked});
      asked = together.view();
    }
    for (std::size_t p = 0; p < taught.parts().size(); ++p) {
      const std::shared_ptr<const index::VectorSegment> segment = taught.parts()[p].segment;
      if (segment == nullptr || segment->graph().size() < routing::kSmallestTrainedGraph) continue;
      TrainedSegment told{state->schema.SpaceById(set->space())->name,
                          state->schema.PartitionById(set->partition())->name,
                          segment->size(),
                          {}};
      told.training.generated = generate;
      learning.checkpoint = CheckpointPath(options.training, report.graphs.size());
      TRIVIUM_ASSIGN_OR_RETURN(const std::string file, impl_->TeachSegment(*segment, asked, learning,
                                                                           &state->schema, &told.training));
      report.graphs.push_back(told);
      if (file.empty()) continue;
      written.push_back(file);
      const std::string path = impl_->SegmentsDirectory() + "/" + file;
      TRIVIUM_ASSIGN_OR_RETURN(auto opened, index::VectorSegment::Open(path, /*verify=*/false));
      const std::string replaced = taught.parts()[p].file;
      obsolete.push_back(replaced);
      for (SegmentRecord& record : state->schema.segments) {
        if (record.file == replaced) record.file = file;
      }
      taught.ReplaceSegment(p, std::move(opened), file);
    }
    state->ReplaceSet(std::move(taught));
  }
  std::move(discard).Cancel();  // a commit that fails may have been applied
  if (!written.empty()) {
    TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), {}, true));
    TRIVIUM_RETURN_IF_ERROR(impl_->RemoveObsolete(obsolete));
  }
  RemoveCheckpoints(options.training, report.graphs.size());
  report.seconds = SecondsSince(start);
  return report;
}

}  // namespace trivium
