// SPDX-License-Identifier: Apache-2.0
#include "api/search_scope.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

constexpr std::size_t kListedNames = 20;

template <class Named>
absl::Status NotFound(std::string_view what, std::string_view name, const std::vector<Named>& there) {
  std::string names;
  for (std::size_t i = 0; i < std::min(there.size(), kListedNames); ++i) {
    names += (i == 0 ? "" : ", ") + there[i].name;
  }
  if (there.size() > kListedNames) names += absl::StrFormat(", and %d more", there.size() - kListedNames);
  return absl::NotFoundError(absl::StrFormat("%s: '%s', expected one of the store's %d: %s", what,
                                             name.substr(0, 80), there.size(), names));
}

}  // namespace

absl::StatusOr<std::uint32_t> FindExpert(const StoreState& state, std::string_view what,
                                         std::string_view name) {
  for (std::uint32_t e = 0; e < state.experts.size(); ++e) {
    if (state.experts[e].name == name) return e;
  }
  return NotFound(what, name, state.experts);
}

absl::StatusOr<SearchScope> SearchScope::Create(const StoreState& state, const SearchOptions& options) {
  SearchScope scope;
  if (options.allowed_experts.empty() && options.partitions.empty()) return scope;
  scope.limits_experts_ = true;
  scope.experts_ = base::Bitmap(state.experts.size(), options.allowed_experts.empty());
  for (const std::string& name : options.allowed_experts) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::uint32_t expert, FindExpert(state, "allowed expert", name));
    scope.experts_.Set(expert);
  }
  if (options.partitions.empty()) return scope;

  std::set<std::uint32_t> partitions;
  for (const std::string& name : options.partitions) {
    const PartitionRecord* partition = state.schema.FindPartition(name);
    if (partition == nullptr) return NotFound("partition", name, state.schema.partitions);
    partitions.insert(partition->id);
  }
  scope.limits_partitions_ = true;
  scope.sets_ = base::Bitmap(state.sets.size());
  for (std::size_t i = 0; i < state.sets.size(); ++i) {
    if (partitions.count(state.sets[i]->partition()) > 0) scope.sets_.Set(i);
  }
  scope.text_sets_ = base::Bitmap(state.text_sets.size());
  for (std::size_t i = 0; i < state.text_sets.size(); ++i) {
    if (partitions.count(state.text_sets[i]->partition()) > 0) scope.text_sets_.Set(i);
  }
  for (std::size_t e = 0; e < state.experts.size(); ++e) {  // those declared come first, in their order
    if (state.experts[e].every_partition) continue;
    if (partitions.count(*state.schema.experts[e].partition) == 0) scope.experts_.Clear(e);
  }
  if (scope.experts_.CountSet() == 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "allowed experts: none that holds a partition allowed, such as '%s', expected at least one",
        options.partitions.front().substr(0, 80)));
  }
  return scope;
}

}  // namespace trivium
