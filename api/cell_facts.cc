// SPDX-License-Identifier: Apache-2.0
#include "api/cell_facts.h"

#include <memory>
#include <numeric>
#include <utility>

#include "api/set_sample.h"
#include "base/status_macros.h"
#include "routing/expert/cell_groups.h"
#include "routing/tree/cell_lists.h"

namespace trivium {
namespace {

constexpr std::size_t kMostGroups = 4'096;  // of all sets together: each costs a route time

// Of each row that SampleRows takes.
absl::StatusOr<std::vector<std::uint32_t>> CellsOfSample(const VectorSet& set,
                                                         const routing::CellModel& model,
                                                         std::size_t most_rows, int threads) {
  std::vector<std::vector<std::uint32_t>> cell_of;  // by part and row
  for (const VectorPart& part : set.parts()) {
    std::shared_ptr<const routing::CellLists> lists = part.trees.cells;
    if (lists == nullptr) {
      TRIVIUM_ASSIGN_OR_RETURN(lists, routing::CellLists::Build(model, part.rows->stored_rows(), threads));
    }
    cell_of.emplace_back(lists->size());
    for (std::uint32_t cell = 0; cell < lists->cell_count(); ++cell) {
      for (const std::uint32_t row : lists->Rows(cell)) cell_of.back()[row] = cell;
    }
  }
  std::vector<std::uint32_t> cells;
  VisitSample(set, most_rows, [&](std::size_t p, std::size_t i) { cells.push_back(cell_of[p][i]); });
  return cells;
}

}  // namespace

absl::StatusOr<std::map<std::uint32_t, std::vector<std::uint32_t>>> GroupByCells(
    const StoreState& state, const SpaceRecord& space, const std::vector<std::uint32_t>& sets,
    std::size_t most_rows, int threads, routing::CellGroups* groups) {
  std::map<std::uint32_t, std::vector<std::uint32_t>> groups_of;
  const std::shared_ptr<const routing::CellModel> model = state.FindTrees(space.id).cells;
  if (model == nullptr || space.metric != Metric::kCosine) return groups_of;
  std::vector<std::vector<std::uint32_t>> cells;
  for (const std::uint32_t s : sets) {
    TRIVIUM_ASSIGN_OR_RETURN(std::vector<std::uint32_t> of_set,
                             CellsOfSample(*state.sets[s], *model, most_rows, threads));
    cells.push_back(std::move(of_set));
  }
  const int climbed = routing::LevelsToClimb(cells, model->depth(), kMostGroups);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (std::uint32_t& cell : cells[i]) cell >>= climbed;
    const std::size_t first = groups->shares.size();
    routing::AddCellGroups(SampleRows(*state.sets[sets[i]], most_rows).view(), cells[i], groups);
    groups_of[sets[i]].resize(groups->shares.size() - first);
    std::iota(groups_of[sets[i]].begin(), groups_of[sets[i]].end(), static_cast<std::uint32_t>(first));
  }
  return groups_of;
}

}  // namespace trivium
