// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/agreement_router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "routing/expert/router_bytes.h"

namespace trivium::routing {
namespace {

// Whether some expert ever agreed more than another.
bool TellsExpertsApart(const PilotSet& agreement) {
  for (std::size_t i = 0; i < agreement.size(); ++i) {
    float low = std::numeric_limits<float>::infinity(), high = -low;
    for (const float each : agreement.utilities(i)) {
      if (std::isnan(each)) continue;
      low = std::min(low, each);
      high = std::max(high, each);
    }
    if (low < high) return true;
  }
  return false;
}

}  // namespace

absl::Status AgreementRouter::TrainLabelFree(const ExpertFacts& facts, const RouterOptions& options) {
  if (facts.agreement.size() == 0) {
    return absl::InvalidArgumentError(
        "router agreement: 0 queries answered by experts that rank the same documents, expected at least one "
        "query, answered by 3 or more");
  }
  if (!TellsExpertsApart(facts.agreement)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "router agreement: no expert agrees more with the others than another over %d queries, expected "
        "answers that differ, of 3 experts or more",
        facts.agreement.size()));
  }
  RouterOptions inner = options;
  inner.class_balance = 0;
  KnnUtilityRouter votes;
  TRIVIUM_RETURN_IF_ERROR(votes.Train(facts.agreement, inner));
  votes_ = std::move(votes);
  return absl::OkStatus();
}

// The bytes of a KnnUtilityRouter.
std::string AgreementRouter::Save() const { return SealRouterBytes(name(), votes_.Save()); }

absl::Status AgreementRouter::Load(std::string_view bytes) {
  TRIVIUM_ASSIGN_OR_RETURN(const std::string_view payload, OpenRouterBytes(name(), bytes));
  return votes_.Load(payload);
}

}  // namespace trivium::routing
