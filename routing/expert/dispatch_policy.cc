// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/dispatch_policy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"

namespace trivium::routing {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t kFew = 16;  // experts: as a rule no more of many are looked at

bool IsAllowed(const base::Bitmap* allowed, std::size_t expert) {
  return allowed == nullptr || allowed->Test(expert);
}

// Ties by index.
struct MoreProbable {
  const std::vector<ExpertChoice>& experts;
  bool operator()(std::uint32_t a, std::uint32_t b) const {
    return experts[a].probability != experts[b].probability ? experts[a].probability > experts[b].probability
                                                            : a < b;
  }
};

// Leaves the worth of every allowed expert in `probability` (unknown: -1); returns the largest.
float FillWorth(const base::Bitmap* allowed, float cost_weight, std::vector<ExpertChoice>* experts) {
  float largest = 0;
  for (std::size_t e = 0; e < experts->size(); ++e) {
    ExpertChoice& expert = (*experts)[e];
    if (!IsAllowed(allowed, e)) continue;
    expert.reason = std::isnan(expert.utility) ? ChoiceReason::kUnknown : ChoiceReason::kNotWorthCost;
    expert.probability =
        std::isnan(expert.utility) ? -1.0f : std::max(0.0f, expert.utility - cost_weight * expert.cost);
    largest = std::max(largest, expert.probability);
  }
  return largest;
}

void ChooseAllAllowed(const base::Bitmap* allowed, Dispatch* dispatch) {
  dispatch->fell_back = true;
  for (std::uint32_t e = 0; e < dispatch->experts.size(); ++e) {
    if (!IsAllowed(allowed, e)) continue;
    dispatch->experts[e].chosen = true;
    dispatch->experts[e].reason = ChoiceReason::kNothingKnown;
    dispatch->chosen.push_back(e);
  }
  for (std::uint32_t e : dispatch->chosen) {
    dispatch->experts[e].probability = 1.0f / static_cast<float>(dispatch->chosen.size());
  }
}

// From worth to tempered shares; returns the share of the experts whose utility is known.
double NormalizeWorth(const base::Bitmap* allowed, float largest, float temperature,
                      std::vector<ExpertChoice>* experts) {
  double known_sum = 0;
  std::size_t known_count = 0;
  std::size_t unknown_count = 0;
  for (std::size_t e = 0; e < experts->size(); ++e) {
    if (!IsAllowed(allowed, e)) continue;
    ExpertChoice& expert = (*experts)[e];
    if (expert.probability < 0) {
      ++unknown_count;
      continue;
    }
    ++known_count;
    if (expert.probability > 0) {
      expert.probability = std::pow(expert.probability / largest, 1.0f / temperature);
    }
    known_sum += expert.probability;
  }
  const double unknown_share = known_sum / static_cast<double>(known_count);
  const double sum = known_sum + unknown_share * static_cast<double>(unknown_count);
  for (std::size_t e = 0; e < experts->size(); ++e) {
    if (!IsAllowed(allowed, e)) continue;
    ExpertChoice& expert = (*experts)[e];
    expert.probability =
        static_cast<float>((expert.probability < 0 ? unknown_share : expert.probability) / sum);
  }
  return known_sum / sum;
}

}  // namespace

absl::Status DispatchOptions::Validate() const {
  if (!(temperature > 0) || std::isinf(temperature)) {
    return absl::InvalidArgumentError(absl::StrFormat("temperature: %g, expected > 0", temperature));
  }
  if (!(top_p > 0 && top_p <= 1)) {
    return absl::InvalidArgumentError(absl::StrFormat("top_p: %g, expected above 0 and at most 1", top_p));
  }
  if (!(cost_weight >= 0) || std::isinf(cost_weight)) {
    return absl::InvalidArgumentError(absl::StrFormat("cost_weight: %g, expected >= 0", cost_weight));
  }
  return absl::OkStatus();
}

std::string_view ReasonText(ChoiceReason reason) {
  switch (reason) {
    case ChoiceReason::kTopP:
      return "top-p";
    case ChoiceReason::kRequested:
      return "requested";
    case ChoiceReason::kNothingKnown:
      return "nothing known, all asked";
    case ChoiceReason::kUnknownAsked:
      return "not learned yet, asked";
    case ChoiceReason::kUnknown:
      return "not learned yet";
    case ChoiceReason::kEnoughAlready:
      return "cumulative probability reached";
    case ChoiceReason::kOverCap:
      return "cap";
    case ChoiceReason::kNotWorthCost:
      return "not worth its cost";
    case ChoiceReason::kNotAllowed:
      return "not allowed";
    case ChoiceReason::kNotRequested:
      return "not requested";
    case ChoiceReason::kWithinLimit:
      return "within the limit of cost";
    case ChoiceReason::kOverLimit:
      return "limit of cost reached";
    case ChoiceReason::kNoText:
      return "needs the query's text";
    case ChoiceReason::kJoins:
      return "joins with a learned share";
    case ChoiceReason::kNoShare:
      return "has no share in this answer";
    case ChoiceReason::kQuarantined:
      return "in quarantine";
  }
  return "";
}

void ChooseExperts(absl::Span<const float> utility, absl::Span<const float> uncertainty,
                   absl::Span<const float> cost, const base::Bitmap* allowed, const DispatchOptions& options,
                   Dispatch* dispatch) {
  std::vector<ExpertChoice>& experts = dispatch->experts;
  experts.assign(utility.size(), ExpertChoice{});
  dispatch->chosen.clear();
  dispatch->order.clear();
  dispatch->fell_back = false;
  for (std::size_t e = 0; e < experts.size(); ++e) {
    experts[e].utility = utility[e];
    experts[e].uncertainty = uncertainty[e];
    experts[e].cost = cost.empty() ? 0.0f : cost[e];
  }
  const float largest = FillWorth(allowed, options.cost_weight, &experts);
  if (largest <= 0) {
    for (ExpertChoice& expert : experts) expert.probability = 0;
    ChooseAllAllowed(allowed, dispatch);
    return;
  }
  const double known_share = NormalizeWorth(allowed, largest, options.temperature, &experts);

  const MoreProbable more_probable{experts};
  for (std::uint32_t e = 0; e < experts.size(); ++e) {
    if (experts[e].reason == ChoiceReason::kUnknown && options.ask_unknown) {
      experts[e].reason = ChoiceReason::kUnknownAsked;
      dispatch->chosen.push_back(e);
    }
    const bool known = experts[e].reason == ChoiceReason::kNotWorthCost;
    if (known && experts[e].probability > 0) dispatch->order.push_back(e);
  }
  // The most probable few are ordered first: the others only if those do not reach top_p.
  std::vector<std::uint32_t>& order = dispatch->order;
  std::size_t taken = 0;
  double cumulative = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (taken > 0 && cumulative >= options.top_p * known_share) {  // so it stays for all that follow
      for (; i < order.size(); ++i) experts[order[i]].reason = ChoiceReason::kEnoughAlready;
      break;
    }
    if (i == 0) {
      std::partial_sort(order.begin(), order.begin() + std::min(kFew, order.size()), order.end(),
                        more_probable);
    } else if (i == kFew) {
      std::sort(order.begin() + i, order.end(), more_probable);
    }
    const std::uint32_t e = order[i];
    if (options.max_experts > 0 && taken >= options.max_experts) {
      experts[e].reason = ChoiceReason::kOverCap;
    } else {
      experts[e].reason = ChoiceReason::kTopP;
      dispatch->chosen.push_back(e);
      ++taken;
    }
    cumulative += experts[e].probability;
  }
  std::sort(dispatch->chosen.begin(), dispatch->chosen.end(), more_probable);
  for (std::uint32_t e : dispatch->chosen) experts[e].chosen = true;
}

std::size_t AffordableCount(absl::Span<const std::uint32_t> order, absl::Span<const float> prices,
                            double limit) {
  constexpr double kRounding = 1 + 1e-9;  // ten times a tenth must fit
  double spent = 0;
  std::size_t count = 0;
  while (count < order.size()) {
    spent += prices[order[count]];
    if (count > 0 && spent > limit * kRounding) break;
    ++count;
  }
  return count;
}

void ChooseAffordable(absl::Span<const float> prices, double limit, const base::Bitmap* allowed,
                      Dispatch* dispatch) {
  std::vector<ExpertChoice>& experts = dispatch->experts;
  std::vector<std::uint32_t>& order = dispatch->order;
  order.clear();
  for (std::uint32_t e = 0; e < experts.size(); ++e) {
    experts[e].chosen = false;
    if (!IsAllowed(allowed, e)) continue;
    experts[e].reason = ChoiceReason::kOverLimit;
    order.push_back(e);
  }
  std::sort(order.begin(), order.end(), MoreProbable{experts});
  dispatch->chosen.assign(order.begin(), order.begin() + AffordableCount(order, prices, limit));
  for (const std::uint32_t e : dispatch->chosen) {
    experts[e].chosen = true;
    experts[e].reason = ChoiceReason::kWithinLimit;
  }
}

void RequestExperts(std::size_t expert_count, absl::Span<const std::uint32_t> requested, Dispatch* dispatch) {
  dispatch->experts.assign(
      expert_count,
      ExpertChoice{.utility = kUnknown, .uncertainty = kUnknown, .reason = ChoiceReason::kNotRequested});
  dispatch->chosen.assign(requested.begin(), requested.end());
  dispatch->fell_back = false;
  for (std::uint32_t e : requested) {
    dispatch->experts[e].chosen = true;
    dispatch->experts[e].reason = ChoiceReason::kRequested;
    dispatch->experts[e].probability = 1.0f / static_cast<float>(requested.size());
  }
}

void JoinExperts(absl::Span<const std::uint32_t> joining, float share, Dispatch* dispatch) {
  for (std::uint32_t e : joining) {
    dispatch->experts[e].chosen = true;
    dispatch->experts[e].reason = ChoiceReason::kJoins;
    dispatch->experts[e].probability = share;
    dispatch->chosen.push_back(e);
  }
}

}  // namespace trivium::routing
