// SPDX-License-Identifier: Apache-2.0
// Means over query sets and their bootstrap intervals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace trivium::routing {

// Positions 0..n-1 of evaluated queries, by the set they belong to.
using QuerySets = std::vector<std::vector<std::uint32_t>>;

QuerySets GroupBySet(absl::Span<const std::uint32_t> set_of_query);

// The mean over sets of the mean within each set. `values`: one per query; `sets` not empty, nor any of them.
double MacroMean(absl::Span<const double> values, const QuerySets& sets);

struct Interval {
  double low = 0;
  double high = 0;
};

// The middle 95 % of `samples`, at least one, which are sorted.
Interval PercentileInterval(std::vector<double>* samples);

// 95 % percentile intervals of the gain of `values` over `baseline` (paired: macro mean of the differences)
// and of its share of the gain of `oracle` over `baseline`, queries resampled within each set. The share's
// interval is NaN where the oracle gains nothing in some round.
struct GainIntervals {
  Interval gain;
  Interval oracle_share;
};
GainIntervals BootstrapGain(absl::Span<const double> values, absl::Span<const double> baseline,
                            absl::Span<const double> oracle, const QuerySets& sets, std::size_t rounds,
                            std::uint64_t seed);

}  // namespace trivium::routing
