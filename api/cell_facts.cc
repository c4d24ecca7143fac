// SPDX-License-Identifier: Apache-2.0
#include "api/cell_facts.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <utility>

#include "api/set_sample.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/cell_groups.h"
#include "routing/expert/spherical_clusters.h"
#include "routing/tree/cell_lists.h"

namespace trivium {
namespace {

constexpr std::size_t kMostGroups = 4'096;   // of all sets together: each costs a route time
constexpr std::size_t kMostClusters = 64;    // of a set, and
constexpr std::size_t kAllClusters = 2'048;  // of all together, where there are many
constexpr std::size_t kRowsACluster = 8;     // at least, in the mean
constexpr std::uint64_t kSeed = 1;

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

// Of one set; returns their indexes.
std::vector<std::uint32_t> AddGroups(const base::AlignedMatrix& rows, const std::vector<std::uint32_t>& nodes,
                                     routing::CellGroups* groups) {
  const std::size_t first = groups->shares.size();
  routing::AddCellGroups(rows.view(), nodes, groups);
  std::vector<std::uint32_t> added(groups->shares.size() - first);
  std::iota(added.begin(), added.end(), static_cast<std::uint32_t>(first));
  return added;
}

}  // namespace

absl::StatusOr<GroupsOfSets> GroupByCells(const StoreState& state, const SpaceRecord& space,
                                          const std::vector<std::uint32_t>& sets, std::size_t most_rows,
                                          int threads, routing::CellGroups* groups) {
  GroupsOfSets groups_of;
  if (space.metric != Metric::kCosine) return groups_of;
  const std::shared_ptr<const routing::CellModel> model = state.FindTrees(space.id).cells;
  std::vector<std::vector<std::uint32_t>> cells;
  for (const std::uint32_t s : sets) {
    TRIVIUM_ASSIGN_OR_RETURN(std::vector<std::uint32_t> of_set,
                             CellsOfSample(*state.sets[s], *model, most_rows, threads));
    cells.push_back(std::move(of_set));
  }
  const int climbed = routing::LevelsToClimb(cells, model->depth(), kMostGroups);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    for (std::uint32_t& cell : cells[i]) cell >>= climbed;
    groups_of[sets[i]] = AddGroups(SampleRows(*state.sets[sets[i]], most_rows), cells[i], groups);
  }
  return groups_of;
}

GroupsOfSets GroupByClusters(const StoreState& state, const SpaceRecord& space,
                             const std::vector<std::uint32_t>& sets, std::size_t most_rows, int threads,
                             routing::CellGroups* groups) {
  GroupsOfSets groups_of;
  if (space.metric != Metric::kCosine || sets.empty()) return groups_of;
  const std::size_t most = std::clamp<std::size_t>(kAllClusters / sets.size(), 1, kMostClusters);
  std::vector<base::AlignedMatrix> samples(sets.size());
  std::vector<std::vector<std::uint32_t>> clusters(sets.size());
  base::ParallelFor(sets.size(), threads, 1, [&](std::size_t i, int) {
    samples[i] = SampleRows(*state.sets[sets[i]], most_rows);
    const std::size_t count = std::clamp<std::size_t>(samples[i].rows() / kRowsACluster, 1, most);
    const std::vector<float> weights(samples[i].rows(), 1.0f);
    clusters[i] = routing::ClusterDirections(samples[i].view(), weights, count, kSeed).cluster_of;
  });
  for (std::size_t i = 0; i < sets.size(); ++i) {
    groups_of[sets[i]] = AddGroups(samples[i], clusters[i], groups);
  }
  return groups_of;
}

}  // namespace trivium
