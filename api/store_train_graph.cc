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

// Indexes into state.sets: those of the expert, or all.
absl::StatusOr<std::set<std::uint32_t>> SetsOf(const StoreState& state, const std::string& expert) {
  std::set<std::uint32_t> sets;
  bool found = expert.empty();
  for (const ExpertView& view : state.experts) {
    if (!expert.empty() && view.name != expert) continue;
    found = true;
    sets.insert(view.sets.begin(), view.sets.end());
  }
  if (!found) return absl::NotFoundError(absl::StrFormat("expert '%s', expected one of the store", expert));
  if (expert.empty()) {
    for (std::uint32_t i = 0; i < state.sets.size(); ++i) sets.insert(i);
  }
  return sets;
}

absl::StatusOr<std::size_t> QueryCount(const TrainGraphOptions& options) {
  std::size_t count = options.texts.size();
  for (const SpaceVectors& given : options.vectors) {
    if (count == 0) count = given.vectors.rows;
    if (given.vectors.rows != count) {
      return absl::InvalidArgumentError(absl::StrFormat("query vectors of space '%s': %d rows, expected %d",
                                                        given.space, given.vectors.rows, count));
    }
  }
  if (count < routing::kFewestTrainingQueries) {
    return absl::InvalidArgumentError(absl::StrFormat("training queries: %d, expected at least %d", count,
                                                      routing::kFewestTrainingQueries));
  }
  return count;
}

}  // namespace

absl::StatusOr<TrainGraphReport> Store::TrainGraph(const TrainGraphOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.training.Validate());
  const bool generate = options.texts.empty() && options.vectors.empty();
  if (!generate) TRIVIUM_RETURN_IF_ERROR(QueryCount(options).status());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::set<std::uint32_t> chosen, SetsOf(*state, options.expert));
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
  const std::vector<std::uint32_t> wanted(spaces.begin(), spaces.end());
  TrainGraphOptions asked{.texts = options.texts, .vectors = options.vectors};
  if (generate) {
    std::set<std::uint32_t> partitions;
    for (const std::shared_ptr<const VectorSet>& set : sets) partitions.insert(set->partition());
    TRIVIUM_ASSIGN_OR_RETURN(asked.texts, GenerateQueries(*state, partitions, options.training.seed));
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::size_t query_count, QueryCount(asked));
  TRIVIUM_ASSIGN_OR_RETURN(
      const PreparedQueries queries,
      PrepareQueries(*state, &impl_->encoders, query_count, asked.vectors, asked.texts, wanted));
  for (const std::uint32_t id : wanted) {
    if (queries.Find(id) != nullptr) continue;
    const SpaceRecord& space = *state->schema.SpaceById(id);
    if (!asked.texts.empty()) {  // it could not be encoded; this says why
      TRIVIUM_RETURN_IF_ERROR(
          impl_->encoders.Encode(space, absl::MakeConstSpan(asked.texts).first(1), TextKind::kQuery)
              .status());
    }
    return absl::FailedPreconditionError(absl::StrFormat(
        "train graph: queries with neither texts nor vectors in space '%s', expected either", space.name));
  }

  std::vector<std::string> written, obsolete;
  absl::Cleanup discard = [&] {
    for (const std::string& file : written)
      storage::RemoveFile(impl_->SegmentsDirectory() + "/" + file).IgnoreError();
  };
  routing::GraphTrainingOptions learning = EngineOptions(options.training);
  for (const std::shared_ptr<const VectorSet>& set : sets) {
    VectorSet taught = *set;
    for (std::size_t p = 0; p < taught.parts().size(); ++p) {
      const std::shared_ptr<const index::VectorSegment> segment = taught.parts()[p].segment;
      if (segment == nullptr || segment->graph().size() < routing::kSmallestTrainedGraph) continue;
      const auto began = std::chrono::steady_clock::now();
      learning.checkpoint = CheckpointPath(options.training, report.graphs.size());
      TRIVIUM_ASSIGN_OR_RETURN(
          routing::TrainedGraph trained,
          routing::TrainGraph(segment->searchable(), queries.Find(set->space())->view(), learning));
      TrainedSegment told{state->schema.SpaceById(set->space())->name,
                          state->schema.PartitionById(set->partition())->name, segment->size(),
                          Describe(trained.report)};
      told.training.generated = generate;
      told.training.enabled = trained.report.accepted || options.training.ignore_gate;
      told.training.seconds = SecondsSince(began);
      report.graphs.push_back(told);
      if (!told.training.enabled) continue;
      const std::string file = absl::StrFormat("%06d.seg", state->schema.next_file++);
      const std::string path = impl_->SegmentsDirectory() + "/" + file;
      TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a training that was killed
      index::SearchableRows contents = segment->searchable();
      contents.graph = &trained.graph;
      if (trained.codes) contents.edge_codes = &*trained.codes;
      written.push_back(file);
      TRIVIUM_RETURN_IF_ERROR(
          index::VectorSegment::Write(contents, segment->profile(), segment->labels(), path, segment->beam(),
                                      TrainingRecord(told.training, options.training.seed)));
      trained = routing::TrainedGraph();  // before the segment's codes come into memory
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
