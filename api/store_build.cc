// SPDX-License-Identifier: Apache-2.0
// Sealing unsealed rows into segments, and merging segments.
#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/keys.h"
#include "api/part_merging.h"
#include "api/store_impl.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::StatusOr<std::size_t> Store::Impl::SealParts(SetToSeal item, index::GraphBuildOptions graph,
                                                   const BuildOptions& build, TaughtGraphs* taught) {
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, BeginWrite());
  VectorSet set = *std::exchange(item.set, nullptr);
  graph.profile = EngineProfile(state->schema.SpaceById(set.space())->profile);
  std::vector<std::string> obsolete;
  for (std::size_t p = item.first; p < set.parts().size(); ++p) {
    if (!set.parts()[p].file.empty()) obsolete.push_back(set.parts()[p].file);
  }
  std::vector<std::string> companions;  // of these
  for (const SegmentRecord& record : state->schema.segments) {
    if (std::find(obsolete.begin(), obsolete.end(), record.file) == obsolete.end()) continue;
    const std::vector<std::string> files = record.companions();
    companions.insert(companions.end(), files.begin(), files.end());
  }
  Lessons lessons = LessonsOf(set);
  lessons.options.threads = build.threads;
  lessons.options.progress = build.progress;
  lessons.options.cancelled = build.cancelled;
  set.MergeParts(item.first, base::ResolveThreadCount(build.threads));
  SegmentRecord record{"", set.space(), set.partition()};
  absl::Cleanup discard = [&] { Discard(record.companions()); };
  if (set.trees().tree != nullptr && set.parts().size() > item.first) {
    // On disk before the graph is built, so that memory need not hold them then.
    std::shared_ptr<const routing::LeafTable> leaves = set.parts().back().trees.leaves;
    TRIVIUM_ASSIGN_OR_RETURN(record.leaves_file, WriteLeaves(*set.trees().tree, &state->schema, &leaves));
    set.ReplaceLeaves(item.first, std::move(leaves));
  }
  if (obsolete.empty()) {
    // The same rows, merged: readers have these from now on, so that memory holds them once.
    state->ReplaceSet(set);
    state->ResolveExperts();
    published = std::exchange(state, nullptr);
    TRIVIUM_ASSIGN_OR_RETURN(state, BeginWrite());
  }
  VectorPart merged;
  if (set.parts().size() > item.first) merged = set.parts().back();
  set.Truncate(item.first);
  const std::size_t rows = merged.live_count;
  std::erase_if(state->schema.segments, [&](const SegmentRecord& record) {
    return std::find(obsolete.begin(), obsolete.end(), record.file) != obsolete.end();
  });
  if (rows > 0) {
    std::string file = absl::StrFormat("%06d.seg", state->schema.next_file++);
    std::string file_path = SegmentsDirectory() + "/" + file;
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(file_path));  // left by a build that failed
    TRIVIUM_RETURN_IF_ERROR(index::VectorSegment::Build(merged.unsealed->view(), merged.rows->documents(),
                                                        set.metric(), graph, file_path));
    PartTrees of_rows = std::move(merged.trees);
    merged = VectorPart();  // before the segment's codes come into memory
    if (lessons.queries.rows() > 0) {
      GraphTrainingReport report;
      TRIVIUM_ASSIGN_OR_RETURN(const std::string other, TeachAgain(file, lessons, &state->schema, &report));
      ++(other.empty() ? taught->left_untaught : taught->taught);
      if (!other.empty()) file = other;
      file_path = SegmentsDirectory() + "/" + file;
    }
    TRIVIUM_ASSIGN_OR_RETURN(auto segment, index::VectorSegment::Open(file_path, /*verify=*/false));
    if (set.trees().cells != nullptr) {
      TRIVIUM_ASSIGN_OR_RETURN(of_rows.cells, routing::CellLists::Build(
                                                  *set.trees().cells, segment->stored_rows(), graph.threads));
      TRIVIUM_ASSIGN_OR_RETURN(record.cells_file, WriteLists(&state->schema, &of_rows.cells));
    }
    set.AddSegment(
        std::move(segment), file, [](std::uint64_t) { return true; }, std::move(of_rows));
    record.file = file;
    state->schema.segments.push_back(record);
  }
  storage::WriteBatch batch;
  batch.DeletePrefix(storage::Table::kVectors, VectorPrefix(set.space(), set.partition()));
  state->ReplaceSet(std::move(set));
  std::move(discard).Cancel();  // a commit that fails may have been applied
  TRIVIUM_RETURN_IF_ERROR(Commit(std::move(state), std::move(batch), true));
  obsolete.insert(obsolete.end(), companions.begin(), companions.end());
  TRIVIUM_RETURN_IF_ERROR(RemoveObsolete(obsolete));
  return rows;
}

absl::Status Store::Impl::RemoveObsolete(const std::vector<std::string>& files) const {
  if (files.empty()) return absl::OkStatus();
  // Also with asynchronous durability: a schema that comes back after a power loss must find its files.
  TRIVIUM_RETURN_IF_ERROR(published.load()->db->Sync());
  for (const std::string& file : files) {
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(SegmentsDirectory() + "/" + file));
  }
  return absl::OkStatus();
}

// Remembers the profile of `build` in the schema, where it names one.
absl::Status Store::Impl::SetProfile(const BuildOptions& build) {
  if (!build.profile) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, BeginWrite());
  bool changed = false;
  for (SpaceRecord& space : state->schema.spaces) {
    changed = changed || space.profile != *build.profile;
    space.profile = *build.profile;
  }
  return changed ? Commit(std::move(state), {}, true) : absl::OkStatus();
}

absl::StatusOr<std::uint64_t> Store::Impl::SealSets(std::vector<SetToSeal> sets, const BuildOptions& build,
                                                    TaughtGraphs* taught) {
  index::GraphBuildOptions graph;
  graph.degree_bound = build.degree_bound;
  if (build.build_beam_width > 0) graph.beam_width = build.build_beam_width;
  graph.threads = base::ResolveThreadCount(build.threads);
  graph.cancelled = build.cancelled;
  TRIVIUM_RETURN_IF_ERROR(graph.Validate());
  std::uint64_t total = 0, done = 0;
  for (const SetToSeal& item : sets) {
    for (std::size_t p = item.first; p < item.set->parts().size(); ++p)
      total += item.set->parts()[p].live_count;
  }
  for (SetToSeal& item : sets) {
    if (build.progress) {
      graph.progress = [&](std::uint64_t rows, std::uint64_t) {
        build.progress("build", done + rows, total);
      };
    }
    TRIVIUM_ASSIGN_OR_RETURN(const std::size_t rows, SealParts(std::move(item), graph, build, taught));
    done += rows;
  }
  if (build.progress) build.progress("build", total, total);
  return done;
}

absl::StatusOr<BuildReport> Store::Build(const BuildOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckRanges(options));
  TRIVIUM_RETURN_IF_ERROR(impl_->SetProfile(options));
  TRIVIUM_RETURN_IF_ERROR(impl_->BeginWrite().status());
  BuildReport report;
  std::vector<Impl::SetToSeal> sets;
  for (const auto& set : impl_->published.load()->sets) {
    if (FirstUnsealed(*set) == set->parts().size()) continue;
    sets.push_back({set, FirstToMerge(*set)});
    for (std::size_t p = FirstUnsealed(*set); p < set->parts().size(); ++p) {
      report.rows_sealed += set->parts()[p].live_count;
    }
  }
  report.segments_built = sets.size();
  TRIVIUM_RETURN_IF_ERROR(impl_->SealSets(std::move(sets), options, &report.graphs).status());
  TRIVIUM_ASSIGN_OR_RETURN(report.texts_sealed, impl_->SealTexts(/*whole=*/false, options.cancelled));
  report.seconds = SecondsSince(start);
  return report;
}

absl::StatusOr<CompactReport> Store::Compact(const BuildOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_RETURN_IF_ERROR(impl_->CheckRanges(options));
  TRIVIUM_RETURN_IF_ERROR(impl_->SetProfile(options));
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<const StoreState> state, impl_->BeginWrite());
  CompactReport report;
  report.segments_before = state->schema.segments.size() + state->schema.text_segments.size();
  std::vector<Impl::SetToSeal> sets;
  for (const auto& set : state->sets) {
    std::size_t rows = 0;
    for (const VectorPart& part : set->parts()) rows += part.rows->size();
    const std::size_t dead = rows - set->live_count();
    report.rows_dropped += dead;
    const bool other_profile =
        options.profile && std::any_of(set->parts().begin(), set->parts().end(), [&](const VectorPart& part) {
          return !part.file.empty() && part.profile != EngineProfile(*options.profile);
        });
    if (set->parts().size() > 1 || dead > 0 || FirstUnsealed(*set) == 0 || other_profile) {
      sets.push_back({set, 0});
    }
  }
  state.reset();  // else its rows would stay until the end
  TRIVIUM_RETURN_IF_ERROR(impl_->SealSets(std::move(sets), options, &report.graphs).status());
  TRIVIUM_RETURN_IF_ERROR(impl_->SealTexts(/*whole=*/true, options.cancelled).status());
  TRIVIUM_ASSIGN_OR_RETURN(report.cells, impl_->SplitOverfullCells(options));
  state = impl_->published.load();
  TRIVIUM_RETURN_IF_ERROR(state->db->Compact());
  report.segments_after = state->schema.segments.size() + state->schema.text_segments.size();
  report.seconds = SecondsSince(start);
  return report;
}

}  // namespace trivium
