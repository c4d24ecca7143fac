// SPDX-License-Identifier: Apache-2.0
// Measures what the store answers to judged queries.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "api/searcher.h"
#include "trivium/options.h"
#include "trivium/report.h"

namespace trivium {

// Runs every judged query of `judged` through `searcher` (whose options ask for `depth` hits and, with
// drop_self, some more), one after the other, timed. `prepared` holds the rows of the judged queries, in
// their order.
absl::StatusOr<SetMetrics> MeasureSet(const Searcher& searcher, EncoderSet* encoders, const JudgedSet& judged,
                                      const PreparedQueries& prepared, const EvaluateOptions& options);

// How many of the set's queries without a relevant document the guard rejects; 0 where no guard is asked.
// Encodes their texts where they have no vectors.
absl::StatusOr<std::uint64_t> CountSkippedRejected(const Searcher& searcher, EncoderSet* encoders,
                                                   const JudgedSet& judged);

// Marks the outcomes and adds the metrics of those that are clean. `clean`: one an outcome.
void AddCleanMetrics(const std::vector<bool>& clean, SetMetrics* metrics);

// Unweighted mean over the sets with judged queries; counts are sums, latencies over all queries.
SetMetrics MacroAverage(const std::vector<SetMetrics>& sets);

}  // namespace trivium
