// SPDX-License-Identifier: Apache-2.0
// Giving a space a tree that was made elsewhere, and taking trees away.
#include <algorithm>
#include <bit>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/query_vectors.h"
#include "api/store_impl.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/given_tree.h"
#include "routing/tree/tree_file.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

constexpr std::size_t kSampledRows = 2000;  // to choose the unit of masses by

absl::Status CheckShape(const SpaceRecord& space) {
  if (space.metric != Metric::kCosine) {
    return absl::FailedPreconditionError(absl::StrFormat("tree: space '%s' has metric %s, expected cosine",
                                                         space.name, MetricName(space.metric)));
  }
  constexpr std::size_t kMostLeaves = std::size_t{1} << routing::kDeepestSplitTree;
  if (space.dimension < 2 || space.dimension > kMostLeaves || !std::has_single_bit(space.dimension)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("tree: space '%s' has dimension %d, expected a power of two from 2 to %d, the leaves",
                        space.name, space.dimension, kMostLeaves));
  }
  return absl::OkStatus();
}

// A sample of the live vectors of `space`, whose tree is to be the given one of its record; all are checked.
absl::StatusOr<base::AlignedMatrix> SampleDistributions(const StoreState& state, const SpaceRecord& space,
                                                        std::uint64_t* documents) {
  base::AlignedMatrix sample(space.dimension);
  std::vector<float> row(space.dimension);
  base::Random random(0);
  *documents = 0;
  for (const auto& set : state.sets) {
    if (set->space() != space.id) continue;
    for (const VectorPart& part : set->parts()) {
      for (std::size_t i = 0; i < part.rows->size(); ++i) {
        if (part.live != nullptr && !part.live->Test(i)) continue;
        part.rows->CopyRow(i, row.data());
        const std::uint64_t number = part.rows->documents()[i];
        TRIVIUM_RETURN_IF_ERROR(CheckDistribution(
            space, row.data(),
            absl::StrFormat("document '%s' of partition '%s'", state.documents.Find(number)->id.substr(0, 80),
                            state.schema.PartitionById(set->partition())->name)));
        // Each is in the sample with equal probability (Vitter's algorithm R).
        const std::uint64_t place = (*documents)++;
        if (place < kSampledRows) {
          sample.Append(row.data());
        } else if (const std::uint64_t at = random.Below(place + 1); at < kSampledRows) {
          std::copy(row.begin(), row.end(), sample.row(at));
        }
      }
    }
  }
  return sample;
}

}  // namespace

absl::Status SetTreeOptions::Validate() const {
  if (threads >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("threads: %d, expected 0 (all) or more", threads));
}

absl::Status Store::Impl::GiveTree(const SpaceRecord& space, const SetTreeOptions& options, StoreState* state,
                                   TreeFiles* files) const {
  TRIVIUM_RETURN_IF_ERROR(CheckShape(space));
  SpaceRecord& record = state->schema.spaces[static_cast<std::size_t>(&space - state->schema.spaces.data())];
  if (record.tree) files->obsolete.push_back(record.tree->file);
  record.tree = TreeRecord{absl::StrFormat("%06d.tree", state->schema.next_file++), {}};
  TreeInfo& info = record.tree->info;
  info.present = info.enabled = info.given = true;
  info.depth = static_cast<std::size_t>(std::bit_width(space.dimension) - 1);
  TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix sample,
                           SampleDistributions(*state, record, &info.documents));
  if (sample.rows() == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "tree: no document with a vector in space '%s', expected one or more, whose masses tell the unit",
        space.name));
  }
  TreeTrainingOptions planting;
  planting.threads = options.threads;
  routing::GivenTree made =
      routing::MakeGivenTree(info.depth, sample.view(), base::ResolveThreadCount(options.threads));
  info.reason = absl::StrFormat("given; bytes keep %.3f of the ten that share most", made.kept);
  SpaceTrees trees = state->FindTrees(space.id);
  trees.tree = std::make_shared<const routing::SplitTree>(std::move(made.tree));
  const std::string path = SegmentsDirectory() + "/" + record.tree->file;
  TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a process that was killed
  TRIVIUM_RETURN_IF_ERROR(routing::WriteTree(*trees.tree, path));
  files->written.push_back(record.tree->file);
  return PlantTrees(trees, SpaceRecord(record), planting, state, files);
}

absl::Status Store::Impl::TakeTree(std::uint32_t space, StoreState* state, TreeFiles* files) {
  SpaceRecord& record =
      state->schema
          .spaces[static_cast<std::size_t>(state->schema.SpaceById(space) - state->schema.spaces.data())];
  if (!record.tree) {
    return absl::NotFoundError(
        absl::StrFormat("tree: none in space '%s', expected one to take away", record.name));
  }
  files->obsolete.push_back(record.tree->file);
  record.tree.reset();
  for (SegmentRecord& segment : state->schema.segments) {
    if (segment.space == space) files->obsolete.push_back(std::exchange(segment.leaves_file, ""));
  }
  state->trees[space].tree = nullptr;
  const SpaceTrees trees = state->trees[space];
  const std::vector<std::shared_ptr<const VectorSet>> sets = state->sets;
  for (const auto& set : sets) {
    if (set->space() != space) continue;
    VectorSet bare = *set;
    std::vector<PartTrees> of_parts;
    for (const VectorPart& part : bare.parts()) of_parts.push_back({nullptr, part.trees.cells});
    bare.ReplaceTrees(trees, std::move(of_parts));
    state->ReplaceSet(std::move(bare));
  }
  return absl::OkStatus();
}

absl::Status Store::SetTree(const SetTreeOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* space, ResolveSpace(state->schema, options.space));
  Impl::TreeFiles files;
  absl::Cleanup discard = [&] { impl_->Discard(files.written); };
  TRIVIUM_RETURN_IF_ERROR(options.given ? impl_->GiveTree(*space, options, state.get(), &files)
                                        : Impl::TakeTree(space->id, state.get(), &files));
  std::move(discard).Cancel();  // a commit that fails may have been applied
  TRIVIUM_RETURN_IF_ERROR(impl_->Commit(std::move(state), {}, true));
  return impl_->RemoveObsolete(files.obsolete);
}

}  // namespace trivium
