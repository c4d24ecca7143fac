// SPDX-License-Identifier: Apache-2.0
// What the answer to a query may cost, and what each expert costs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "api/search_scope.h"
#include "api/store_state.h"
#include "trivium/options.h"

namespace trivium {

struct SpendingLimit {
  double limit = 0;           // in the unit of the prices
  std::vector<float> prices;  // by expert
  // Experts in the order in which they are worth asking where nobody knows better: the most documents first.
  std::vector<std::uint32_t> order;
};

// None where the options, which are valid, set no limit. `filter`: null, or prepared for the vector sets in
// scope. O(experts x vector sets).
std::optional<SpendingLimit> SpendingLimitOf(const StoreState& state, const SearchScope& scope,
                                             const RowFilter* filter, const SearchOptions& options);

}  // namespace trivium
