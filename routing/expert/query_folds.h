// SPDX-License-Identifier: Apache-2.0
// Splits judged queries for cross-validation, so that what is learned is judged on queries it has not seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

// The fold in [0, fold_count) of each of `count` queries. Folds hold about the same number of queries of
// every set. Queries of one set and group share a fold, unless their group holds more than 1 / fold_count of
// its set: such a group (a small collection whose queries all share documents) would leave a fold without the
// set, so its queries are dealt one by one.
//
//   groups, sets  one per query, or empty: every query a group of its own, all queries one set
std::vector<std::uint32_t> GroupedFolds(std::size_t count, absl::Span<const std::uint64_t> groups,
                                        absl::Span<const std::uint32_t> sets, std::size_t fold_count,
                                        std::uint64_t seed);

}  // namespace trivium::routing
