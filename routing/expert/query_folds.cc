// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/query_folds.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/random.h"

namespace trivium::routing {

std::vector<std::uint32_t> GroupedFolds(std::size_t count, absl::Span<const std::uint64_t> groups,
                                        absl::Span<const std::uint32_t> sets, std::size_t fold_count,
                                        std::uint64_t seed) {
  std::map<std::uint32_t, std::map<std::uint64_t, std::vector<std::uint32_t>>>
      members;  // set -> group -> queries
  std::map<std::uint32_t, std::size_t> set_sizes;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t set = sets.empty() ? 0 : sets[i];
    members[set][groups.empty() ? i : groups[i]].push_back(i);
    ++set_sizes[set];
  }
  base::Random random(seed);
  std::vector<std::uint32_t> folds(count, 0);
  // Where the fold counts of a set tie, it is the fold that is smallest over all sets: otherwise every small
  // set would fill the same folds.
  std::vector<std::size_t> total_load(fold_count, 0);
  for (auto& [set, by_group] : members) {
    std::vector<std::vector<std::uint32_t>> units;
    for (auto& [group, queries] : by_group) {
      if (queries.size() > 1 && queries.size() * fold_count > set_sizes[set]) {
        for (std::uint32_t query : queries) units.push_back({query});
      } else {
        units.push_back(std::move(queries));
      }
    }
    random.Shuffle(units);
    std::vector<std::size_t> load(fold_count, 0);
    for (const std::vector<std::uint32_t>& unit : units) {
      std::size_t lightest = 0;
      for (std::size_t f = 1; f < fold_count; ++f) {
        if (std::pair(load[f], total_load[f]) < std::pair(load[lightest], total_load[lightest])) lightest = f;
      }
      for (std::uint32_t query : unit) folds[query] = static_cast<std::uint32_t>(lightest);
      load[lightest] += unit.size();
      total_load[lightest] += unit.size();
    }
  }
  return folds;
}

}  // namespace trivium::routing
