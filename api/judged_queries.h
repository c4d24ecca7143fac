// SPDX-License-Identifier: Apache-2.0
// Query sets with their judgements resolved against a store: what training and evaluation start from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "routing/expert/ranking_metrics.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"

namespace trivium {

// One query with at least one relevant document in the store.
struct JudgedQuery {
  std::size_t row = 0;  // in its set
  routing::Judgements judgements;
  std::vector<std::uint64_t> own;  // documents with the query's own id, to be ignored (drop_self)
};

struct JudgedSet {
  const QuerySet* set = nullptr;
  std::vector<JudgedQuery> queries;      // in the order of the set
  std::uint64_t skipped_queries = 0;     // without a positive judgement
  std::uint64_t unknown_judgements = 0;  // positive, of documents that the store does not hold
};

// A query all of whose relevant documents are unknown still counts, with an ideal that cannot be reached: as
// trec_eval does. kInvalidArgument: arrays of different lengths, drop_self without ids. kNotFound: unknown
// partition.
absl::StatusOr<JudgedSet> ResolveJudgements(const StoreState& state, const QuerySet& set);

// The rows of the judged queries only, in their order: vectors as given, texts encoded for every space that
// can.
absl::StatusOr<PreparedQueries> PrepareJudged(const StoreState& state, EncoderSet* encoders,
                                              const JudgedSet& judged);

// The ranked keys without the query's own documents, at most `depth`.
void RankedKeys(const std::vector<routing::FusedHit>& hits, const JudgedQuery& query, std::size_t depth,
                std::vector<std::uint64_t>* keys);

// Which queries must stay on one side of a split: each has the number of its group.
struct QueryGroups {
  std::vector<std::uint64_t> twins;    // near-identical (inner product of the unit rows >= 0.95)
  std::vector<std::uint64_t> related;  // those, and queries that share a relevant document
};
// O(n^2) inner products.
QueryGroups GroupQueries(const std::vector<const JudgedQuery*>& queries,
                         const std::vector<const float*>& rows, std::size_t dimension, int thread_count);

}  // namespace trivium
