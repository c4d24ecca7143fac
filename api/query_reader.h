// SPDX-License-Identifier: Apache-2.0
// Queries as adapters read them: that of an expert, that of all domains, or several mixed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "api/held_out_readings.h"
#include "api/store_state.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/query_mixture.h"
#include "trivium/options.h"

namespace trivium {

// By space: what is asked instead of the plain query. Rows are padded as a base::AlignedMatrix's.
using QueryReadings = std::map<std::uint32_t, std::vector<float>>;

// Safe to call concurrently. Readings are of unit length where the space has the cosine metric.
class QueryReader {
 public:
  // Both must outlive this. `held_out`: null, or what goes before adapters, for training.
  QueryReader(const StoreState* state, AdapterUse use, const HeldOutReadings* held_out = nullptr)
      : state_(state), use_(use), held_out_(held_out) {}

  // Whether the expert, or all domains of the space, have an adapter in use.
  bool Adapts(const ExpertView& expert) const { return AdapterInUse(expert, use_) != nullptr; }
  bool AdaptsAll(std::uint32_t space) const { return state_->SpaceAdapterInUse(space, use_) != nullptr; }

  // Overwrites `reading`. REQUIRES: Adapts, AdaptsAll. kInvalidArgument, naming whose adapter it is, where it
  // makes a query of infinite length, or of none for cosine. O(dimension^2).
  absl::Status ReadAs(const ExpertView& expert, const float* query, std::vector<float>* reading) const;
  absl::Status ReadAsAll(std::uint32_t space, const float* query, std::vector<float>* reading) const;

  // Whether a mixture in the space would differ from the query: it has the cosine metric and adapters. A
  // mixture also takes those that the gate refused for use alone, unless none at all are to be used: its own
  // weights were learned with them.
  bool CanMix(std::uint32_t space) const;
  // Overwrites `reading` with a mixture of the readings of the space's experts by their probabilities
  // (`choices`: one per expert of the store). An expert without an adapter reads as all domains do. Experts
  // of less than a hundredth of the space's probability are left out. REQUIRES: CanMix. Errors as of ReadAs.
  // O(dimension^2) for each expert heard.
  absl::Status Mix(std::uint32_t space, absl::Span<const routing::ExpertChoice> choices,
                   const routing::QueryMixture& mixture, const float* query,
                   std::vector<float>* reading) const;

 private:
  AdapterUse UseInMixture() const {
    return use_ == AdapterUse::kNever ? AdapterUse::kNever : AdapterUse::kAlways;
  }
  absl::Status Read(std::uint32_t id, const std::vector<float>& adapter, std::uint32_t space,
                    const std::string& whose, const float* query, std::vector<float>* reading) const;

  const StoreState* state_;
  AdapterUse use_;
  const HeldOutReadings* held_out_;
};

}  // namespace trivium
