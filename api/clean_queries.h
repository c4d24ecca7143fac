// SPDX-License-Identifier: Apache-2.0
// Which evaluated queries share nothing with training.
#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "base/aligned_matrix.h"

namespace trivium {

// The judged queries that a store learned from.
class TrainingQueries {
 public:
  // `state` must outlive this. kInvalidArgument, kNotFound: as ResolveJudgements; what an encoder says.
  static absl::StatusOr<TrainingQueries> Load(const StoreState& state, EncoderSet* encoders,
                                              const std::vector<QuerySet>& sets);

  // For each judged query of `judged`, whether no query here is nearly the same (kTwinCosine, in the router's
  // space, or else the first space that all of them have vectors in) or has a relevant document in common
  // with it. kInvalidArgument: there is no such space. O(queries here x judged) inner products.
  absl::StatusOr<std::vector<bool>> FindClean(const JudgedSet& judged, const PreparedQueries& prepared,
                                              int thread_count) const;

 private:
  explicit TrainingQueries(const StoreState* state) : state_(state) {}

  const StoreState* state_;
  std::vector<PreparedQueries> prepared_;  // a set
  std::unordered_set<std::uint64_t> relevant_;
};

}  // namespace trivium
