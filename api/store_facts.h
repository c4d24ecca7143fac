// SPDX-License-Identifier: Apache-2.0
// What a store can tell its routers of the experts without any judged query.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "routing/expert/expert_facts.h"

namespace trivium {

// Facts about state.experts, in that order, as seen from `space`.
//
// Moments: of every vector set of the space that a dense expert searches, in up to 16 groups of alike
// vectors, from at most 10,000 of its rows, evenly spaced. Not for kSquaredL2, where a larger inner product
// does not mean a nearer vector; experts that search nothing in the space have none. Cells: of the same rows,
// where the space has a partition tree and the metric is kCosine. Descriptions: each line of an expert's is a
// text, encoded as documents are; where the space's encoder is not at hand, nobody has any. Agreement is left
// empty: it needs queries. The encoder's errors. Cost: clustering the rows taken, one encoder call.
// `threads`: at least 1.
absl::StatusOr<routing::ExpertFacts> GatherFacts(const StoreState& state, EncoderSet* encoders,
                                                 std::uint32_t space, int threads);

// The experts of state.experts whose answers can be compared, because they rank the same documents: those
// that search the same partitions, of several such groups the largest. Empty where none has 3 experts, which
// the estimate of agreement needs.
std::vector<std::uint32_t> ComparableExperts(const StoreState& state);

// Whether a router of these, all where there are none, learns from agreement.
bool WantsAgreement(const std::vector<std::string>& routers);

}  // namespace trivium
