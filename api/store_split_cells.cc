// SPDX-License-Identifier: Apache-2.0
// Cells of spaces whose documents are no longer those that the cells were made for.
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_format.h"
#include "api/store_impl.h"
#include "api/tree_training.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/tree/cell_assignment.h"
#include "routing/tree/cell_splitter.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

// Share of the documents whose nearest cell is overfull, from which on the cells around it are built anew.
constexpr double kMostOverfull = 0.1;

// Each row in the cell of the nearest centroid, whether that has room or not.
std::shared_ptr<const routing::CellLists> NearestLists(const routing::CellModel& model,
                                                       const base::AlignedMatrix& rows, int threads) {
  std::vector<std::uint32_t> cell_of(rows.rows());
  std::vector<float> closeness(rows.rows());
  routing::NearestCells(model.centroids(), model.depth(), model.metric())
      .Find(index::RowsView(rows.view()), 0, rows.rows(), threads, cell_of.data(), closeness.data());
  return routing::CellLists::FromCells(cell_of, model.cell_count());
}

}  // namespace

absl::StatusOr<std::vector<CellDriftReport>> Store::Impl::SplitOverfullCells(const BuildOptions& build) {
  std::vector<CellDriftReport> reports;
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, BeginWrite());
  const int threads = base::ResolveThreadCount(build.threads);
  TreeFiles files;
  absl::Cleanup discard = [&] { Discard(files.written); };
  const std::vector<SpaceRecord> spaces = state->schema.spaces;
  for (std::size_t i = 0; i < spaces.size(); ++i) {
    const SpaceRecord& space = spaces[i];
    SpaceTrees trees = state->FindTrees(space.id);
    if (trees.cells == nullptr) continue;
    const TreeDocuments documents = LoadTreeDocuments(*state, space.id, {}, /*seed=*/0);
    const auto lists = NearestLists(*trees.cells, documents.rows, threads);
    const routing::CellDrift drift = routing::MeasureDrift(*lists);
    reports.push_back({space.name, drift.overfull_rows_share, 0});
    if (drift.overfull_rows_share <= kMostOverfull) continue;
    TRIVIUM_ASSIGN_OR_RETURN(
        const routing::SplitCells split,
        routing::SplitOverfullCells(trees.cells, *lists, index::RowsView(documents.rows.view()), threads));
    if (split.rebuilt_cells == 0) continue;
    reports.back().rebuilt = split.rebuilt_cells;
    trees.cells = split.model;
    SpaceRecord& record = state->schema.spaces[i];
    files.obsolete.push_back(record.cells->file);
    record.cells->file = absl::StrFormat("%06d.cells", state->schema.next_file++);
    const std::string path = SegmentsDirectory() + "/" + record.cells->file;
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(path));  // left by a compaction that was killed
    TRIVIUM_RETURN_IF_ERROR(trees.cells->Write(path));
    files.written.push_back(record.cells->file);
    TreeTrainingOptions planting;
    planting.use = TreeUse::kPartition;
    planting.threads = build.threads;
    planting.progress = build.progress;
    planting.cancelled = build.cancelled;
    TRIVIUM_RETURN_IF_ERROR(PlantTrees(trees, space, planting, state.get(), &files));
  }
  std::move(discard).Cancel();  // a commit that fails may have been applied
  if (files.written.empty()) return reports;
  TRIVIUM_RETURN_IF_ERROR(Commit(std::move(state), {}, true));
  TRIVIUM_RETURN_IF_ERROR(RemoveObsolete(files.obsolete));
  return reports;
}

}  // namespace trivium
