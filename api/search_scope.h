// SPDX-License-Identifier: Apache-2.0
// What a search may touch: the experts that may be asked, and the partitions whose vectors and texts may be
// read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "api/store_state.h"
#include "base/bitmap.h"
#include "trivium/options.h"

namespace trivium {

// Safe to use concurrently.
class SearchScope {
 public:
  SearchScope() = default;  // everything

  // What `allowed_experts` and `partitions` of the options leave. kNotFound: a name that the store does not
  // have; kInvalidArgument: no expert is left. O(experts + vector sets), nothing without either.
  static absl::StatusOr<SearchScope> Create(const StoreState& state, const SearchOptions& options);

  // By index into StoreState::experts; null: all.
  const base::Bitmap* experts() const { return limits_experts_ ? &experts_ : nullptr; }
  bool AllowsExpert(std::size_t expert) const { return !limits_experts_ || experts_.Test(expert); }

  bool limits_partitions() const { return limits_partitions_; }
  // By index into StoreState::sets and text_sets.
  bool AllowsSet(std::size_t set) const { return !limits_partitions_ || sets_.Test(set); }
  bool AllowsTexts(std::size_t set) const { return !limits_partitions_ || text_sets_.Test(set); }

 private:
  bool limits_experts_ = false, limits_partitions_ = false;
  base::Bitmap experts_, sets_, text_sets_;
};

// Index into StoreState::experts. kNotFound, which begins with `what` and lists the experts there are.
absl::StatusOr<std::uint32_t> FindExpert(const StoreState& state, std::string_view what,
                                         std::string_view name);

}  // namespace trivium
