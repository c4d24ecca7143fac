// SPDX-License-Identifier: Apache-2.0
// Teaching the graph of one segment, and teaching it again when a segment is built anew.
#include <algorithm>
#include <chrono>

#include "absl/strings/str_format.h"
#include "api/graph_training.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "routing/graph/training_queries.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

constexpr std::size_t kFewestQueriesAskedAgain = 500;

}  // namespace

absl::StatusOr<std::set<std::uint32_t>> SetsOfExpert(const StoreState& state, const std::string& expert) {
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

absl::StatusOr<PreparedQueries> Store::Impl::PrepareForSpaces(const StoreState& state, std::string_view what,
                                                              std::size_t count,
                                                              const std::vector<SpaceVectors>& vectors,
                                                              absl::Span<const std::string> texts,
                                                              const std::set<std::uint32_t>& spaces) const {
  const std::vector<std::uint32_t> wanted(spaces.begin(), spaces.end());
  TRIVIUM_ASSIGN_OR_RETURN(PreparedQueries queries,
                           PrepareQueries(state, &encoders, count, vectors, texts, wanted));
  for (const std::uint32_t id : wanted) {
    if (queries.Find(id) != nullptr) continue;
    const SpaceRecord& space = *state.schema.SpaceById(id);
    if (!texts.empty()) {  // it could not be encoded; this says why
      TRIVIUM_RETURN_IF_ERROR(encoders.Encode(space, texts.first(1), TextKind::kQuery).status());
    }
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: queries with neither texts nor vectors in space '%s', expected either", what, space.name));
  }
  return queries;
}

absl::StatusOr<std::string> Store::Impl::TeachSegment(const index::VectorSegment& segment,
                                                      base::MatrixView queries,
                                                      const GraphTrainingOptions& options, Schema* schema,
                                                      GraphTrainingReport* report) const {
  const auto began = std::chrono::steady_clock::now();
  routing::GraphTrainingOptions learning = EngineOptions(options);
  learning.former = &segment.training();
  TRIVIUM_ASSIGN_OR_RETURN(routing::TrainedGraph trained,
                           routing::TrainGraph(segment.searchable(), queries, learning));
  const bool generated = report->generated;
  *report = Describe(trained.report);
  report->generated = generated;
  report->enabled = trained.report.accepted || options.ignore_gate;
  report->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (!report->enabled) return std::string();
  const std::string file = absl::StrFormat("%06d.seg", schema->next_file++);
  const std::string file_path = SegmentsDirectory() + "/" + file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(file_path));  // left by a training that was killed
  index::SearchableRows contents = segment.searchable();
  contents.graph = &trained.graph;
  if (trained.codes) contents.edge_codes = &*trained.codes;
  trained.kept.record = TrainingRecord(*report, segment.size(), options.seed);
  TRIVIUM_RETURN_IF_ERROR(index::VectorSegment::Write(contents, segment.profile(), segment.labels(),
                                                      file_path, segment.beam(), trained.kept));
  return file;
}

Store::Impl::Lessons Store::Impl::LessonsOf(const VectorSet& set) {
  Lessons lessons;
  std::vector<base::MatrixView> sources;
  lessons.options.entries = lessons.options.edges = lessons.options.codes = false;
  for (const VectorPart& part : set.parts()) {
    if (part.segment == nullptr || part.segment->training().empty()) continue;
    const index::KeptTraining& training = part.segment->training();
    const TrainingHistory history = ParseTrainingRecord(training.record);
    lessons.options.entries = lessons.options.entries || history.entries > 0;
    lessons.options.edges = lessons.options.edges || history.edges_added > 0;
    lessons.options.codes = lessons.options.codes || history.codes;
    sources.push_back(training.queries);
  }
  if (lessons.options.Validate().ok()) lessons.queries = routing::JoinQueries(set.dimension(), sources);
  return lessons;
}

absl::StatusOr<std::string> Store::Impl::TeachAgain(const std::string& file, const Lessons& lessons,
                                                    Schema* schema, GraphTrainingReport* report) const {
  const std::string file_path = SegmentsDirectory() + "/" + file;
  TRIVIUM_ASSIGN_OR_RETURN(const auto segment, index::VectorSegment::Open(file_path, /*verify=*/false));
  if (segment->graph().size() < routing::kSmallestTrainedGraph) return std::string();
  // No more than would be kept: so that teaching costs about what building does.
  const std::size_t room =
      std::max<std::size_t>(segment->size() / routing::kRowsAKeptQuery, kFewestQueriesAskedAgain);
  const base::MatrixView all = lessons.queries.view();
  base::AlignedMatrix some(all.columns);
  const std::size_t count = std::min(room, all.rows);
  for (std::size_t i = 0; i < count; ++i) some.Append(all.row(i * all.rows / count));
  if (count < routing::kFewestTrainingQueries) return std::string();
  absl::StatusOr<std::string> taught = TeachSegment(*segment, some.view(), lessons.options, schema, report);
  // Its place is taken, or the build fails as a whole.
  if (!taught.ok() || !taught->empty()) storage::RemoveFile(file_path).IgnoreError();
  return taught;
}

}  // namespace trivium
