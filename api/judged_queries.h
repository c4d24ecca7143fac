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

// Queries whose inner product as unit vectors is at least this are near-identical twins.
inline constexpr float kTwinCosine = 0.95f;
// Keys of judged documents that the store does not hold: from here on, above every document number.
inline constexpr std::uint64_t kFirstUnknownKey = std::uint64_t{1} << 63;

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

// Whether every set has vectors of the space, or texts that can be encoded for it.
absl::StatusOr<bool> CanReadQueries(const StoreState& state, const EncoderSet& encoders,
                                    const SpaceRecord& space, const std::vector<QuerySet>& sets);

// How many queries a set has, which needs no judgements.
std::size_t CountQueries(const QuerySet& set);

// A query all of whose relevant documents are unknown still counts, with an ideal that cannot be reached: as
// trec_eval does. kInvalidArgument: arrays of different lengths, drop_self without ids. kNotFound: unknown
// partition.
// Queries without a positive judgement are left out unless `keep_unjudged`.
absl::StatusOr<JudgedSet> ResolveJudgements(const StoreState& state, const QuerySet& set,
                                            bool keep_unjudged = false);

// The rows of the judged queries only, in their order: vectors as given, texts encoded for every space that
// can.
absl::StatusOr<PreparedQueries> PrepareJudged(const StoreState& state, EncoderSet* encoders,
                                              const JudgedSet& judged);

// The vectors of the i-th judged query: rows of `prepared`, the rest from its text when asked for. What is
// given must outlive it.
QueryVectors JudgedVectors(const StoreState& state, EncoderSet* encoders, const JudgedSet& judged,
                           std::size_t i, const PreparedQueries& prepared);

// The ranked keys without the query's own documents, at most `depth`.
void RankedKeys(const std::vector<routing::FusedHit>& hits, const JudgedQuery& query, std::size_t depth,
                std::vector<std::uint64_t>* keys);

// The sum of the grades of the query's relevant documents that lie where the expert searches.
double RelevantGain(const StoreState& state, const JudgedQuery& query, const ExpertView& expert);

// Which queries must stay on one side of a split: each has the number of its group.
struct QueryGroups {
  std::vector<std::uint64_t> twins;    // near-identical (inner product of the unit rows >= 0.95)
  std::vector<std::uint64_t> related;  // those, and queries that share a relevant document
};
// O(n^2) inner products.
QueryGroups GroupQueries(const std::vector<const JudgedQuery*>& queries,
                         const std::vector<const float*>& rows, std::size_t dimension, int thread_count);

}  // namespace trivium
