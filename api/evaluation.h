// SPDX-License-Identifier: Apache-2.0
// Measures one query set: what the store answers, and what other ways of answering would.
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

// A row per way of answering; on `thread_count` threads.
absl::StatusOr<std::vector<ComparisonRow>> CompareAnswers(const Searcher& searcher, EncoderSet* encoders,
                                                          const JudgedSet& judged,
                                                          const PreparedQueries& prepared, int thread_count);

// Unweighted mean over the sets with judged queries; counts are sums, latencies over all queries.
SetMetrics MacroAverage(const std::vector<SetMetrics>& sets);

}  // namespace trivium
