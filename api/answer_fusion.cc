// SPDX-License-Identifier: Apache-2.0
#include "api/answer_fusion.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>

namespace trivium {
namespace {

constexpr double kDefaultLexicalWeight = 0.3;

// Of an expert, as its hits are to be weighed.
float PriorShare(const routing::ExpertChoice& choice) {
  return std::isnan(choice.revised) ? choice.probability : choice.revised;
}

}  // namespace

float FirstScore(const StoreState& state, const ExpertList& list, absl::Span<const std::uint64_t> own) {
  if (!state.experts[list.expert].lexical) {
    for (const routing::ScoredDocument& hit : list.hits) {
      if (std::find(own.begin(), own.end(), hit.key) == own.end()) return hit.score;
    }
  }
  return std::numeric_limits<float>::quiet_NaN();
}

float LookAgain(const StoreState& state, const std::vector<const ExpertList*>& lists,
                absl::Span<const int> columns, absl::Span<const std::uint64_t> own, Plan* plan) {
  if (plan->second_look == nullptr || plan->dispatch.fell_back) return 1;
  std::vector<float> scores(plan->dispatch.experts.size(), std::numeric_limits<float>::quiet_NaN());
  for (const ExpertList* list : lists) scores[list->expert] = FirstScore(state, *list, own);
  plan->prior_weight = plan->second_look->prior_weight;
  return routing::Revise(*plan->second_look, scores, columns, &plan->dispatch);
}

std::string FuseLists(const StoreState& state, const SearchOptions& options, const Plan& plan,
                      const std::vector<const ExpertList*>& lists, std::size_t k,
                      routing::FusionMethod method, routing::FusionScratch* scratch,
                      std::vector<routing::FusedHit>* hits) {
  std::vector<routing::ExpertResult> results;
  std::deque<std::vector<routing::ScoredDocument>> raised;
  std::map<std::uint32_t, float> spaces;  // of dense lists, with the probability of their experts
  float probability = 0;
  std::size_t lexical_count = 0;
  float first = routing::kSmallestProbability;  // of the most probable one
  for (const ExpertList* list : lists) {
    if (!state.experts[list->expert].lexical) {
      first = std::max(first, PriorShare(plan.dispatch.experts[list->expert]));
    }
  }
  for (const ExpertList* list : lists) {
    const routing::ExpertChoice& choice = plan.dispatch.experts[list->expert];
    const ExpertView& expert = state.experts[list->expert];
    if (expert.lexical && list->hits.empty()) continue;  // no vote
    routing::ExpertResult result;
    result.expert = list->expert;
    result.kind = expert.lexical ? routing::ExpertKind::kLexical : routing::ExpertKind::kDense;
    result.space = expert.space;
    result.weight = std::max(choice.probability, routing::kSmallestProbability);
    if (plan.prior_weight > 0 && !expert.lexical) {
      // Of an expert that nothing is known about nothing is held against its hits.
      const float share = std::isnan(choice.utility) ? first : PriorShare(choice);
      result.prior = plan.prior_weight * std::log(std::max(share, routing::kSmallestProbability));
    }
    result.hits = list->hits;
    if (!plan.memory_weights.empty() && plan.memory_weights[list->expert] > 0 && !expert.lexical) {
      raised.push_back(list->hits);
      routing::RaiseRemembered(plan.remembered, plan.memory_weights[list->expert], &raised.back());
      result.hits = raised.back();
    }
    lexical_count += expert.lexical ? 1 : 0;
    if (!expert.lexical) {
      spaces[expert.space] += result.weight;
      probability += result.weight;
    }
    results.push_back(result);
  }
  const bool one_voter = spaces.size() + lexical_count <= 1;
  const FusionChoice wanted =
      options.fusion.value_or(plan.lexical_weight ? FusionChoice::kConvex : FusionChoice::kReciprocalRank);
  if (method == routing::FusionMethod::kAuto && wanted == FusionChoice::kConvex && !one_voter) {
    method = routing::FusionMethod::kConvex;
    const auto share = static_cast<float>(
        options.lexical_weight.value_or(plan.lexical_weight.value_or(kDefaultLexicalWeight)));
    for (routing::ExpertResult& result : results) {
      if (result.kind == routing::ExpertKind::kLexical) {
        result.weight = share / static_cast<float>(lexical_count);
      } else {  // a space counts by its experts' probability where a router knows it
        const float of_space =
            plan.router.empty() ? 1 / static_cast<float>(spaces.size()) : spaces[result.space] / probability;
        result.weight = (1 - share) * of_space;
      }
    }
  }
  routing::FuseResults(results, k, method, scratch, hits);
  if (lists.empty()) return "none";
  if (method == routing::FusionMethod::kConvex) return "convex";
  if (method == routing::FusionMethod::kReciprocalRank || !one_voter) return "rrf";
  if (plan.prior_weight > 0) return "score+prior";
  return lists.size() == 1 ? "single" : "score";
}

}  // namespace trivium
