// SPDX-License-Identifier: Apache-2.0
#include "api/spending_limit.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "api/expert_searches.h"

namespace trivium {
namespace {

std::uint64_t CountDocuments(const StoreState& state, const SearchScope& scope, const ExpertView& expert) {
  std::uint64_t count = 0;
  for (const std::uint32_t set : expert.sets) {
    if (scope.AllowsSet(set)) count += state.sets[set]->live_count();
  }
  for (const std::uint32_t set : expert.text_sets) {
    if (scope.AllowsTexts(set)) count += state.text_sets[set]->live_count();
  }
  return count;
}

double ExpectedDistances(const StoreState& state, const SearchScope& scope, const RowFilter* filter,
                         const SearchOptions& options, const ExpertView& expert) {
  double distances = 0;
  for (const std::uint32_t set : expert.sets) {
    if (!scope.AllowsSet(set)) continue;
    const VectorSet& searched = *state.sets[set];
    distances += searched.ExpectedDistances(ParametersFor(searched, options.k, state, options), filter);
  }
  return distances;
}

}  // namespace

std::optional<SpendingLimit> SpendingLimitOf(const StoreState& state, const SearchScope& scope,
                                             const RowFilter* filter, const SearchOptions& options) {
  if (!options.cost && !options.budget) return std::nullopt;
  SpendingLimit spending;
  const std::size_t count = state.experts.size();
  std::vector<std::uint64_t> documents(count);
  double total = 0;
  for (std::size_t e = 0; e < count; ++e) {
    const ExpertView& expert = state.experts[e];
    documents[e] = CountDocuments(state, scope, expert);
    spending.prices.push_back(
        options.budget ? static_cast<float>(ExpectedDistances(state, scope, filter, options, expert))
                       : state.costs[e]);
    if (scope.AllowsExpert(e)) total += spending.prices.back();
  }
  if (options.budget) {
    spending.limit = static_cast<double>(*options.budget);
  } else if (*options.cost == 0) {
    spending.limit = -1;  // one expert, even where others are free
  } else {
    spending.limit = *options.cost == 1 ? std::numeric_limits<double>::infinity() : *options.cost * total;
  }
  spending.order.resize(count);
  std::iota(spending.order.begin(), spending.order.end(), 0U);
  std::stable_sort(spending.order.begin(), spending.order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return documents[a] > documents[b]; });
  return spending;
}

}  // namespace trivium
