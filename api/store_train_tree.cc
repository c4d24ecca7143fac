// SPDX-License-Identifier: Apache-2.0
// Teaching spaces a tree; routing/tree/ does the learning.
#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/store_impl.h"
#include "api/tree_training.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/tree_file.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Positions in the schema.
absl::StatusOr<std::vector<std::size_t>> SpacesToTeach(const StoreState& state, const EncoderSet& encoders,
                                                       const TrainTreeOptions& options) {
  const std::vector<SpaceRecord>& all = state.schema.spaces;
  if (!options.space.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, ResolveSpace(state.schema, options.space));
    if (space->metric != Metric::kCosine) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "train tree: space '%s' has metric %s, expected cosine", space->name, MetricName(space->metric)));
    }
    return std::vector<std::size_t>{static_cast<std::size_t>(space - all.data())};
  }
  std::vector<std::size_t> spaces;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].metric != Metric::kCosine) continue;
    TRIVIUM_ASSIGN_OR_RETURN(const bool can_read, CanReadQueries(state, encoders, all[i], options.queries));
    if (can_read) spaces.push_back(i);
  }
  if (spaces.empty()) {
    return absl::FailedPreconditionError(
        "train tree: no space of the cosine metric for which the queries have vectors or an encoder, "
        "expected one");
  }
  return spaces;
}

// All rows of a part, dead ones too.
base::AlignedMatrix DecodePart(const VectorPart& part, std::size_t dimension) {
  base::AlignedMatrix rows(part.rows->size(), dimension);
  for (std::size_t i = 0; i < rows.rows(); ++i) part.rows->CopyRow(i, rows.row(i));
  return rows;
}

}  // namespace

absl::Status Store::Impl::PlantTree(std::shared_ptr<const routing::SplitTree> tree, const SpaceRecord& space,
                                    const TreeTrainingOptions& options, StoreState* state,
                                    std::vector<std::string>* written,
                                    std::vector<std::string>* obsolete) const {
  state->trees[space.id] = tree;
  const std::vector<std::shared_ptr<const VectorSet>> sets = state->sets;
  std::uint64_t done = 0, total = 0;
  for (const auto& set : sets) total += set->space() == space.id ? set->live_count() : 0;
  for (const auto& set : sets) {
    if (set->space() != space.id) continue;
    VectorSet planted = *set;
    std::vector<std::shared_ptr<const routing::LeafTable>> leaves;
    for (const VectorPart& part : planted.parts()) {
      if (options.cancelled != nullptr && options.cancelled->load()) {
        return absl::CancelledError("train tree: cancelled");
      }
      if (options.progress) options.progress("leaves", done, total);
      leaves.push_back(routing::LeafTable::Build(*tree, DecodePart(part, set->dimension()).view(),
                                                 base::ResolveThreadCount(options.threads)));
      done += part.live_count;
      if (part.file.empty()) continue;
      const auto record =
          std::find_if(state->schema.segments.begin(), state->schema.segments.end(),
                       [&](const SegmentRecord& segment) { return segment.file == part.file; });
      if (!record->leaves_file.empty()) obsolete->push_back(record->leaves_file);
      TRIVIUM_ASSIGN_OR_RETURN(record->leaves_file, WriteLeaves(*tree, &state->schema, &leaves.back()));
      written->push_back(record->leaves_file);
    }
    planted.ReplaceTree(tree, std::move(leaves));
    state->ReplaceSet(std::move(planted));
  }
  if (options.progress) options.progress("leaves", total, total);
  return options.cancelled != nullptr && options.cancelled->load()
             ? absl::CancelledError("train tree: cancelled")
             : absl::OkStatus();
}

absl::StatusOr<TrainTreeReport> Store::TrainTree(const TrainTreeOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.training.Validate());
  if (options.training.use == TreeUse::kPartition) {
    return absl::UnimplementedError("train tree: use partition, expected representation");
  }
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::size_t> spaces,
                           SpacesToTeach(*state, impl_->encoders, options));
  TrainTreeReport report;
  report.use = options.training.use;
  std::vector<std::string> written, obsolete;
  absl::Cleanup discard = [&] { impl_->Discard(written); };
  absl::Status too_few;
  for (const std::size_t i : spaces) {
    const auto began = std::chrono::steady_clock::now();
    const SpaceRecord space = state->schema.spaces[i];
    TRIVIUM_ASSIGN_OR_RETURN(const TreeQueries queries,
                             LoadTreeQueries(*state, &impl_->encoders, space, options.queries));
    report.unknown_judgements = queries.unknown_judgements;
    TreeDocuments documents = LoadTreeDocuments(*state, space.id, queries.relevant, options.training.seed);
    routing::TreeTrainingOptions learning = EngineOptions(options.training, documents.rows.rows());
    learning.checkpoint = CheckpointPath(options.training, report.spaces.size());
    routing::TreeTrainingData data;
    data.documents = documents.rows.view();
    data.queries = queries.rows.view();
    if (queries.rows.rows() > 0) data.relevant = RelevantRows(documents, queries.relevant);
    absl::StatusOr<routing::TrainedTree> trained = routing::TrainTree(data, learning);
    TrainedSpaceTree told;
    if (absl::IsFailedPrecondition(trained.status()) && spaces.size() > 1) {  // another one may have enough
      too_few = trained.status();
      told.reason = std::string(too_few.message());
    } else {
      TRIVIUM_RETURN_IF_ERROR(trained.status());
      told = DescribeTree(trained->report);
      told.depth = trained->tree.depth;
    }
    told.space = space.name;
    told.documents = documents.rows.rows();
    documents = TreeDocuments();  // before the leaves come into memory
    if (trained.ok() && (told.enabled || options.training.ignore_gate)) {
      if (space.tree) obsolete.push_back(space.tree->file);
      TreeRecord record;
      record.file = absl::StrFormat("%06d.tree", state->schema.next_file++);
      const std::string path = impl_->SegmentsDirectory() + "/" + record.file;
      TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a training that was killed
      TRIVIUM_RETURN_IF_ERROR(routing::WriteTree(trained->tree, path));
      written.push_back(record.file);
      record.info = {true, told.enabled, told.depth, told.documents, told.queries, told.levels, told.reason};
      state->schema.spaces[i].tree = std::move(record);
      TRIVIUM_RETURN_IF_ERROR(
          impl_->PlantTree(std::make_shared<const routing::SplitTree>(std::move(trained->tree)), space,
                           options.training, state.get(), &written, &obsolete));
      told.enabled = true;
    }
    told.seconds = SecondsSince(began);
    report.spaces.push_back(std::move(told));
  }
  const auto learned = [](const TrainedSpaceTree& space) { return space.depth > 0; };
  if (std::none_of(report.spaces.begin(), report.spaces.end(), learned)) return too_few;
  std::move(discard).Cancel();  // a commit that fails may have been applied
  if (!written.empty()) {
    TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), {}, true));
    TRIVIUM_RETURN_IF_ERROR(impl_->RemoveObsolete(obsolete));
  }
  report.seconds = SecondsSince(start);
  return report;
}

}  // namespace trivium
