// SPDX-License-Identifier: Apache-2.0
// Teaching spaces a tree; routing/tree/ does the learning.
#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/judged_queries.h"
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
    if (space->metric != Metric::kCosine && options.training.use == TreeUse::kRepresentation) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "train tree: space '%s' has metric %s, expected cosine", space->name, MetricName(space->metric)));
    }
    return std::vector<std::size_t>{static_cast<std::size_t>(space - all.data())};
  }
  std::vector<std::size_t> spaces;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (options.training.use == TreeUse::kRepresentation) {
      if (all[i].metric != Metric::kCosine) continue;
      if (all[i].tree && all[i].tree->info.given) continue;  // replaced only where it is named
    }
    TRIVIUM_ASSIGN_OR_RETURN(const bool can_read, CanReadQueries(state, encoders, all[i], options.queries));
    if (can_read) spaces.push_back(i);
  }
  if (spaces.empty()) {
    return absl::FailedPreconditionError(
        "train tree: no space of the cosine metric without a given tree, or for use partition of any, for "
        "which the queries have vectors or an encoder, expected one");
  }
  return spaces;
}

// All rows of a part, dead ones too.
base::AlignedMatrix DecodePart(const VectorPart& part, std::size_t dimension) {
  base::AlignedMatrix rows(part.rows->size(), dimension);
  for (std::size_t i = 0; i < rows.rows(); ++i) part.rows->CopyRow(i, rows.row(i));
  return rows;
}

SegmentRecord* RecordOf(const VectorPart& part, Schema* schema) {
  const auto record = std::find_if(schema->segments.begin(), schema->segments.end(),
                                   [&](const SegmentRecord& segment) { return segment.file == part.file; });
  return &*record;
}

}  // namespace

absl::Status Store::Impl::PlantTrees(const SpaceTrees& trees, const SpaceRecord& space,
                                     const TreeTrainingOptions& options, StoreState* state,
                                     TreeFiles* files) const {
  const int threads = base::ResolveThreadCount(options.threads);
  state->trees[space.id] = trees;
  const std::vector<std::shared_ptr<const VectorSet>> sets = state->sets;
  std::uint64_t done = 0, total = 0;
  for (const auto& set : sets) total += set->space() == space.id ? set->live_count() : 0;
  for (const auto& set : sets) {
    if (set->space() != space.id) continue;
    VectorSet planted = *set;
    std::vector<PartTrees> of_parts;
    for (const VectorPart& part : planted.parts()) {
      if (options.cancelled != nullptr && options.cancelled->load()) {
        return absl::CancelledError("train tree: cancelled");
      }
      if (options.progress) options.progress("leaves", done, total);
      of_parts.push_back(part.trees);
      done += part.live_count;
      SegmentRecord* record = part.file.empty() ? nullptr : RecordOf(part, &state->schema);
      if (options.use == TreeUse::kRepresentation) {
        auto& leaves = of_parts.back().leaves;
        leaves = routing::LeafTable::Build(*trees.tree, DecodePart(part, set->dimension()).view(), threads);
        if (record == nullptr) continue;
        if (!record->leaves_file.empty()) files->obsolete.push_back(record->leaves_file);
        TRIVIUM_ASSIGN_OR_RETURN(record->leaves_file, WriteLeaves(*trees.tree, &state->schema, &leaves));
        files->written.push_back(record->leaves_file);
      } else if (record != nullptr) {
        auto& lists = of_parts.back().cells;
        TRIVIUM_ASSIGN_OR_RETURN(lists,
                                 routing::CellLists::Build(*trees.cells, part.rows->stored_rows(), threads));
        if (!record->cells_file.empty()) files->obsolete.push_back(record->cells_file);
        TRIVIUM_ASSIGN_OR_RETURN(record->cells_file, WriteLists(&state->schema, &lists));
        files->written.push_back(record->cells_file);
      }
    }
    planted.ReplaceTrees(trees, std::move(of_parts));
    state->ReplaceSet(std::move(planted));
  }
  if (options.progress) options.progress("leaves", total, total);
  return options.cancelled != nullptr && options.cancelled->load()
             ? absl::CancelledError("train tree: cancelled")
             : absl::OkStatus();
}

absl::StatusOr<TrainedSpaceTree> Store::Impl::TeachTree(const SpaceRecord& space,
                                                        const TrainTreeOptions& options, std::size_t number,
                                                        StoreState* state, TreeFiles* files,
                                                        std::uint64_t* unknown_judgements) const {
  TRIVIUM_ASSIGN_OR_RETURN(const TreeQueries queries,
                           LoadTreeQueries(*state, &encoders, space, options.queries));
  *unknown_judgements = queries.unknown_judgements;
  TreeDocuments documents = LoadTreeDocuments(*state, space.id, queries.relevant, options.training.seed);
  const TreeTrainingOptions& training = options.training;
  const bool soft = training.use == TreeUse::kRepresentation;
  SpaceTrees trees = state->FindTrees(space.id);
  TrainedSpaceTree told;
  if (soft) {
    routing::TreeTrainingOptions learning = EngineOptions(training, documents.rows.rows());
    learning.checkpoint = CheckpointPath(training, number);
    routing::TreeTrainingData data;
    data.documents = documents.rows.view();
    data.queries = queries.rows.view();
    if (queries.rows.rows() > 0) data.relevant = RelevantRows(documents, queries.relevant);
    TRIVIUM_ASSIGN_OR_RETURN(routing::TrainedTree trained, routing::TrainTree(data, learning));
    told = DescribeTree(trained.report);
    told.depth = trained.tree.depth;
    trees.tree = std::make_shared<const routing::SplitTree>(std::move(trained.tree));
  } else {
    if (documents.rows.rows() < routing::kFewestTreeDocuments) {
      return absl::FailedPreconditionError(
          absl::StrFormat("train tree: %d documents in space '%s', expected at least %d",
                          documents.rows.rows(), space.name, routing::kFewestTreeDocuments));
    }
    routing::CellTrainingData data;
    data.documents = documents.rows.view();
    data.metric = BaseMetric(space.metric);
    data.queries = queries.rows.view();
    TRIVIUM_ASSIGN_OR_RETURN(const routing::TrainedCells trained,
                             routing::TrainCells(data, CellOptions(training, documents.rows.rows())));
    told = DescribeCells(trained.report);
    told.queries = data.queries.rows;
    told.depth = static_cast<std::size_t>(trained.model->depth());
    trees.cells = trained.model;
    trees.router = training.ignore_gate ? BestRouter(trained.report) : trained.report.router;
    told.cells->router = routing::CellRouterName(trees.router);
  }
  told.space = space.name;
  told.documents = documents.rows.rows();
  documents = TreeDocuments();  // before what is said of its rows comes into memory
  const bool passed = told.enabled;
  told.enabled = passed || training.ignore_gate || !soft;  // cells are of use however they are chosen
  if (!told.enabled) return told;

  SpaceRecord& record =
      state->schema
          .spaces[static_cast<std::size_t>(state->schema.SpaceById(space.id) - state->schema.spaces.data())];
  const std::string file = absl::StrFormat("%06d.%s", state->schema.next_file++, soft ? "tree" : "cells");
  const std::string path = SegmentsDirectory() + "/" + file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a training that was killed
  TRIVIUM_RETURN_IF_ERROR(soft ? routing::WriteTree(*trees.tree, path) : trees.cells->Write(path));
  files->written.push_back(file);
  if (soft) {
    if (record.tree) files->obsolete.push_back(record.tree->file);
    record.tree =
        TreeRecord{file, {true, passed, told.depth, told.documents, told.queries, told.levels, told.reason}};
  } else {
    if (record.cells) files->obsolete.push_back(record.cells->file);
    record.cells = CellsRecord{file,
                               {true, passed, trees.cells->cell_count(), told.documents, told.queries,
                                told.cells->router, told.reason}};
  }
  TRIVIUM_RETURN_IF_ERROR(PlantTrees(trees, space, training, state, files));
  return told;
}

absl::StatusOr<TrainTreeReport> Store::TrainTree(const TrainTreeOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.training.Validate());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const std::vector<std::size_t> spaces,
                           SpacesToTeach(*state, impl_->encoders, options));
  TrainTreeReport report;
  report.use = options.training.use;
  Impl::TreeFiles files;
  absl::Cleanup discard = [&] { impl_->Discard(files.written); };
  absl::Status too_few;
  for (const std::size_t i : spaces) {
    const auto began = std::chrono::steady_clock::now();
    const SpaceRecord space = state->schema.spaces[i];
    absl::StatusOr<TrainedSpaceTree> told = impl_->TeachTree(space, options, report.spaces.size(),
                                                             state.get(), &files, &report.unknown_judgements);
    if (absl::IsFailedPrecondition(told.status()) && spaces.size() > 1) {  // another one may have enough
      too_few = told.status();
      told = TrainedSpaceTree();
      told->space = space.name;
      told->reason = std::string(too_few.message());
    }
    TRIVIUM_RETURN_IF_ERROR(told.status());
    told->seconds = SecondsSince(began);
    report.spaces.push_back(*std::move(told));
  }
  const auto learned = [](const TrainedSpaceTree& space) { return space.depth > 0; };
  if (std::none_of(report.spaces.begin(), report.spaces.end(), learned)) return too_few;
  std::move(discard).Cancel();  // a commit that fails may have been applied
  if (!files.written.empty()) {
    TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), {}, true));
    TRIVIUM_RETURN_IF_ERROR(impl_->RemoveObsolete(files.obsolete));
  }
  report.seconds = SecondsSince(start);
  return report;
}

}  // namespace trivium
