// SPDX-License-Identifier: Apache-2.0
// Where the documents of each expert lie: in which cells of a space, or around which centres of their own.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "api/store_state.h"
#include "routing/expert/expert_facts.h"

namespace trivium {

using GroupsOfSets = std::map<std::uint32_t, std::vector<std::uint32_t>>;  // by index into state.sets

// Groups of the sets of `space` numbered `sets` (of state.sets), by the cells of its partition tree; returns
// the indexes of each set's groups. None where the metric is not kCosine. REQUIRES: there is such a tree.
//
// From at most `most_rows` rows of a set, evenly spaced. Where there would be too many groups, levels of the
// tree are climbed. Rows that are not sealed are dealt to cells here. Cost: decoding the rows taken.
absl::StatusOr<GroupsOfSets> GroupByCells(const StoreState& state, const SpaceRecord& space,
                                          const std::vector<std::uint32_t>& sets, std::size_t most_rows,
                                          int threads, routing::CellGroups* groups);

// Likewise without a tree: up to 64 clusters of each set. Cost: clustering the rows taken.
GroupsOfSets GroupByClusters(const StoreState& state, const SpaceRecord& space,
                             const std::vector<std::uint32_t>& sets, std::size_t most_rows, int threads,
                             routing::CellGroups* groups);

}  // namespace trivium
