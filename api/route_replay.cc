// SPDX-License-Identifier: Apache-2.0
#include "api/route_replay.h"

#include <string>
#include <string_view>
#include <unordered_map>

#include "absl/strings/str_format.h"

namespace trivium {

absl::StatusOr<Plan> PlanOfRoute(const StoreState& state, const Route& route) {
  Plan plan;
  plan.mode = route.mode;
  plan.rejected = route.rejected;
  plan.in_domain = route.in_domain;
  plan.router = route.router;
  plan.prior_weight = static_cast<float>(route.prior_weight);
  plan.widened = route.widened;
  plan.plain = route.untrained;
  if (route.lexical_weight) plan.lexical_weight = static_cast<float>(*route.lexical_weight);
  if (route.mixture) {
    plan.mixture = {static_cast<float>(route.mixture->own), static_cast<float>(route.mixture->plain)};
  }
  routing::RequestExperts(state.experts.size(), {}, &plan.dispatch);
  std::unordered_map<std::string_view, std::uint32_t> numbers;
  for (std::uint32_t e = 0; e < state.experts.size(); ++e) numbers[state.experts[e].name] = e;
  std::string gone;
  for (const ExpertConsidered& considered : route.experts) {
    const auto found = numbers.find(considered.expert);
    if (found == numbers.end()) {
      const bool heard = route.mixture && considered.probability > 0;
      if (!considered.chosen && !heard) continue;
      gone += (gone.empty() ? "'" : ", '") + considered.expert.substr(0, 80) + "'";
      continue;
    }
    routing::ExpertChoice& choice = plan.dispatch.experts[found->second];
    choice.utility = considered.utility;
    choice.uncertainty = considered.uncertainty;
    choice.probability = considered.probability;
    choice.revised = considered.revised;
    choice.chosen = considered.chosen;
    if (!considered.chosen) continue;
    choice.reason = routing::ChoiceReason::kRequested;
    plan.dispatch.chosen.push_back(found->second);
  }
  if (!gone.empty()) {
    return absl::NotFoundError(
        absl::StrFormat("route: experts %s are gone, expected those of the store it was taken in", gone));
  }
  return plan;
}

}  // namespace trivium
