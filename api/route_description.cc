// SPDX-License-Identifier: Apache-2.0
#include "api/route_description.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/keys.h"
#include "base/status_macros.h"
#include "kernels/distance_table.h"
#include "routing/expert/pilot_set.h"

namespace trivium {
namespace {

constexpr std::size_t kPilotsShown = 10;

std::string SourceName(routing::PilotSource source) {
  switch (source) {
    case routing::PilotSource::kTrained:
      return "trained";
    case routing::PilotSource::kFeedback:
      return "feedback";
    case routing::PilotSource::kBackground:
      return "background";
  }
  return "";
}

// Index of the largest value above 0; none where there is none.
std::optional<std::size_t> Largest(absl::Span<const float> values) {
  std::optional<std::size_t> largest;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] > (largest ? values[*largest] : 0.0f)) largest = i;
  }
  return largest;
}

struct StoredPilot {
  std::uint64_t number = 0;
  float cosine = 0;
  std::string bytes;
  std::optional<routing::PilotVote> vote = {};
};

// Of all that were trained on; nearest first.
absl::StatusOr<std::vector<StoredPilot>> FindNearestPilots(const StoreState& state, const float* query,
                                                           std::size_t dimension) {
  const kernels::DistanceTable& kernels = kernels::ActiveDistances();
  const std::vector<std::uint32_t> no_experts;
  std::vector<StoredPilot> nearest;
  absl::Status malformed;
  TRIVIUM_RETURN_IF_ERROR(state.db->ForEach(
      storage::Table::kPilots, kTrainedPilotPrefix, [&](std::string_view key, std::string_view value) {
        routing::PilotSet one(dimension, 0);
        malformed = one.AddEncoded(value, no_experts);
        if (!malformed.ok()) return false;
        const float cosine = kernels.inner_product_f32(query, one.pilot(0).vector.data(), dimension);
        if (nearest.size() == kPilotsShown && cosine <= nearest.back().cosine) return true;
        const auto place = std::find_if(nearest.begin(), nearest.end(),
                                        [&](const StoredPilot& pilot) { return pilot.cosine < cosine; });
        nearest.insert(place, {ReadBigEndian(key), cosine, std::string(value)});
        if (nearest.size() > kPilotsShown) nearest.pop_back();
        return true;
      }));
  TRIVIUM_RETURN_IF_ERROR(malformed);
  return nearest;
}

// Of those that voted, in their order. They are numbered as those of the table, unless the dispatch was
// trained anew just now.
absl::StatusOr<std::vector<StoredPilot>> ReadPilots(const StoreState& state,
                                                    absl::Span<const routing::PilotVote> votes) {
  std::vector<StoredPilot> pilots;
  for (const routing::PilotVote& vote : votes) {
    TRIVIUM_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                             state.db->Get(storage::Table::kPilots, U64Key(vote.pilot)));
    if (bytes) pilots.push_back({vote.pilot, vote.cosine, *std::move(bytes), vote});
  }
  return pilots;
}

absl::StatusOr<NearPilot> Describe(const StoreState& state, std::size_t dimension,
                                   const StoredPilot& stored) {
  const std::vector<std::uint32_t>& ids = state.schema.dispatch->expert_ids;
  routing::PilotSet set(dimension, ids.size());
  TRIVIUM_RETURN_IF_ERROR(set.AddEncoded(stored.bytes, ids));
  const routing::PilotView pilot = set.pilot(0);
  const auto name_of = [&](std::optional<std::size_t> column) -> std::string {
    const auto found = column
                           ? std::find(state.columns.begin(), state.columns.end(), static_cast<int>(*column))
                           : state.columns.end();
    return found == state.columns.end() ? "" : state.experts[found - state.columns.begin()].name;
  };
  const std::optional<std::size_t> best = Largest(pilot.utilities);
  NearPilot near;
  near.number = stored.number;
  near.cosine = stored.cosine;
  near.source = SourceName(pilot.source);
  near.owner = name_of(Largest(pilot.owners));
  near.best = name_of(best);
  if (best) near.best_utility = pilot.utilities[*best];
  near.weight = pilot.weight;
  if (stored.vote) {
    near.contribution = stored.vote->contribution;
    near.share = stored.vote->share;
  }
  return near;
}

// The least utility from 0 up to `high`, with which the expert is chosen, for certain at `high`: more never
// changes that. Floats above zero are ordered as their bits are, so halving ends at the exact one.
float LeastUtility(float high, const std::function<bool(float)>& is_chosen) {
  if (is_chosen(0)) return 0;
  auto no = std::bit_cast<std::uint32_t>(0.0f), yes = std::bit_cast<std::uint32_t>(high);
  while (yes - no > 1) {
    const std::uint32_t middle = no + (yes - no) / 2;
    (is_chosen(std::bit_cast<float>(middle)) ? yes : no) = middle;
  }
  return std::bit_cast<float>(yes);
}

// What it takes to change the choice that `plan` tells of. `scratch` is as that choice left it.
class Margins {
 public:
  Margins(const QueryPlanner& planner, const Dispatcher::Entry& entry, const QueryVectors& query,
          const routing::Dispatch& dispatch, PlannerScratch* scratch)
      : planner_(planner), entry_(entry), query_(query), dispatch_(dispatch), scratch_(scratch) {}

  // With the expert's utility needed to be chosen; none where it has no utility.
  RouteMargin Of(std::uint32_t expert) {
    // Above every other's, which may be dearer, the expert is first and so chosen.
    const routing::ExpertChoice& choice = dispatch_.experts[expert];
    float high = std::max(choice.utility, 0.0f);
    for (const routing::ExpertChoice& other : dispatch_.experts) {
      if (!std::isnan(other.utility)) high = std::max(high, other.utility);
    }
    high += 1 + entry_.settings.policy.cost_weight * choice.cost;
    const float before = scratch_->utility[expert];
    const float needed = LeastUtility(high, [&](float utility) {
      scratch_->utility[expert] = utility;
      planner_.ChooseByUtility(entry_, query_, scratch_, &again_);
      return !again_.dispatch.fell_back && again_.dispatch.experts[expert].chosen;
    });
    scratch_->utility[expert] = before;
    return {planner_.state().experts[expert].name, choice.utility, needed};
  }

 private:
  const QueryPlanner& planner_;
  const Dispatcher::Entry& entry_;
  const QueryVectors& query_;
  const routing::Dispatch& dispatch_;
  PlannerScratch* scratch_;
  Plan again_;
};

bool DependsOnUtility(routing::ChoiceReason reason) {
  using routing::ChoiceReason;
  return reason != ChoiceReason::kNotAllowed && reason != ChoiceReason::kNoText &&
         reason != ChoiceReason::kJoins && reason != ChoiceReason::kNoShare &&
         reason != ChoiceReason::kQuarantined;
}

// The strongest expert left out and the weakest one chosen, of those with a utility.
void ExplainMargins(const routing::Dispatch& dispatch, Margins margins, RouteExplanation* explanation) {
  std::optional<std::uint32_t> left_out, last;
  const auto stronger = [&](std::uint32_t a, std::uint32_t b) {
    const routing::ExpertChoice &x = dispatch.experts[a], &y = dispatch.experts[b];
    return x.probability != y.probability ? x.probability > y.probability : x.utility > y.utility;
  };
  for (std::uint32_t e = 0; e < dispatch.experts.size(); ++e) {
    const routing::ExpertChoice& choice = dispatch.experts[e];
    if (std::isnan(choice.utility) || !DependsOnUtility(choice.reason)) continue;
    if (choice.chosen) {
      if (!last || stronger(*last, e)) last = e;
    } else {
      if (!left_out || stronger(e, *left_out)) left_out = e;
    }
  }
  if (left_out) explanation->left_out = margins.Of(*left_out);
  if (last) explanation->last_chosen = margins.Of(*last);
}

}  // namespace

Route DescribeRoute(const Searcher& searcher, const Answer& answer) {
  const StoreState& state = searcher.state();
  const Plan& plan = answer.plan;
  const routing::Dispatch& dispatch = plan.dispatch;
  const bool adapted =
      !plan.readings.empty() ||
      (!plan.plain && std::any_of(dispatch.chosen.begin(), dispatch.chosen.end(), [&](std::uint32_t e) {
        return searcher.planner().reader().Adapts(state.experts[e]);
      }));
  Route route;
  if (searcher.options().route) route = *searcher.options().route;
  route.explanation.reset();
  route.reading = plan.mixture ? "mixed" : adapted ? "adapted" : "plain";
  route.mixture.reset();
  if (plan.mixture) route.mixture = {plan.mixture->own, plan.mixture->plain};
  route.fusion = answer.fusion;
  if (searcher.options().route) return route;
  route.mode = plan.mode;
  route.router = plan.router;
  route.rejected = plan.rejected;
  route.in_domain = plan.in_domain;
  route.untrained = plan.plain;
  route.prior_weight = plan.prior_weight;
  route.widened = plan.widened;
  route.remembered = plan.remembered.size();
  if (plan.lexical_weight) route.lexical_weight = *plan.lexical_weight;
  const auto tell = [&](std::uint32_t e) {
    const routing::ExpertChoice& choice = dispatch.experts[e];
    std::string reason(routing::ReasonText(choice.reason));
    if (choice.reason == routing::ChoiceReason::kQuarantined) reason += ": " + state.experts[e].quarantine;
    route.experts.push_back({state.experts[e].name, choice.chosen, choice.utility, choice.uncertainty,
                             choice.probability, state.costs[e],
                             dispatch.chosen.empty() ? "query rejected" : std::move(reason), choice.revised});
  };
  // Sorted as pairs: there may be a thousand experts, and what is told of one is large to move.
  std::vector<std::pair<float, std::uint32_t>> others;
  for (std::uint32_t e = 0; e < dispatch.experts.size(); ++e) {
    if (!dispatch.experts[e].chosen) others.emplace_back(-dispatch.experts[e].probability, e);
  }
  std::sort(others.begin(), others.end());
  route.experts.reserve(dispatch.chosen.size() + others.size());
  for (const std::uint32_t e : dispatch.chosen) tell(e);
  for (const auto& [negative, e] : others) tell(e);
  return route;
}

absl::StatusOr<RouteExplanation> ExplainRoute(const Searcher& searcher, const Answer& answer,
                                              QueryVectors* query, PlannerScratch* scratch) {
  RouteExplanation explanation;
  const StoreState& state = searcher.state();
  const Plan& plan = answer.plan;
  const Dispatcher::Entry* entry =
      plan.router.empty() || plan.plain || searcher.options().route || plan.dispatch.chosen.empty()
          ? nullptr
          : state.dispatcher->Find(plan.router);
  if (entry == nullptr) return explanation;
  Plan again;  // leaves prediction and direction in the scratch
  TRIVIUM_RETURN_IF_ERROR(searcher.planner().PlanRouted(*entry, query, scratch, &again));
  TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(state.dispatcher->space()));
  const std::size_t dimension = entry->router->dimension();
  if (state.schema.SpaceById(state.dispatcher->space())->metric != Metric::kCosine) {
    vector = scratch->direction.data();
  }

  const std::uint32_t first = plan.dispatch.chosen.front();
  explanation.expert = state.experts[first].name;
  std::optional<routing::PilotVotes> votes;
  if (const int column = state.columns[first]; column >= 0) {
    votes = entry->router->ExplainVotes(absl::MakeConstSpan(vector, dimension),
                                        static_cast<std::size_t>(column), &scratch->router);
  }
  std::vector<StoredPilot> nearest;
  if (votes) {
    const std::size_t shown = std::min(votes->pilots.size(), kPilotsShown);
    TRIVIUM_ASSIGN_OR_RETURN(nearest, ReadPilots(state, absl::MakeConstSpan(votes->pilots).first(shown)));
    explanation.prior_contribution = votes->prior_contribution;
    explanation.other_contribution = 0;
    for (std::size_t i = shown; i < votes->pilots.size(); ++i) {
      *explanation.other_contribution += votes->pilots[i].contribution;
    }
  } else {
    TRIVIUM_ASSIGN_OR_RETURN(nearest, FindNearestPilots(state, vector, dimension));
  }
  for (const StoredPilot& pilot : nearest) {
    TRIVIUM_ASSIGN_OR_RETURN(explanation.pilots.emplace_back(), Describe(state, dimension, pilot));
  }
  ExplainMargins(plan.dispatch, Margins(searcher.planner(), *entry, *query, plan.dispatch, scratch),
                 &explanation);
  return explanation;
}

}  // namespace trivium
