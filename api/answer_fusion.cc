// SPDX-License-Identifier: Apache-2.0
#include "api/answer_fusion.h"

#include <algorithm>
#include <cmath>
#include <set>

namespace trivium {
namespace {

// A prior is at least beta * log(this), so that an improbable expert's hits stay comparable.
constexpr float kSmallestProbability = 1e-6f;

}  // namespace

std::string FuseLists(const StoreState& state, const SearchOptions& options, const Plan& plan,
                      const std::vector<const ExpertList*>& lists, std::size_t k,
                      routing::FusionMethod method, routing::FusionScratch* scratch,
                      std::vector<routing::FusedHit>* hits) {
  std::vector<routing::ExpertResult> results;
  std::set<std::uint32_t> spaces;  // of dense lists
  std::size_t lexical_count = 0;
  for (const ExpertList* list : lists) {
    const routing::ExpertChoice& choice = plan.dispatch.experts[list->expert];
    const ExpertView& expert = state.experts[list->expert];
    if (expert.lexical && list->hits.empty()) continue;  // no vote
    routing::ExpertResult result;
    result.expert = list->expert;
    result.kind = expert.lexical ? routing::ExpertKind::kLexical : routing::ExpertKind::kDense;
    result.space = expert.space;
    result.weight = std::max(choice.probability, kSmallestProbability);
    if (plan.prior_weight > 0 && !expert.lexical) result.prior = plan.prior_weight * std::log(result.weight);
    result.hits = list->hits;
    if (!expert.lexical) spaces.insert(expert.space);
    lexical_count += expert.lexical ? 1 : 0;
    results.push_back(result);
  }
  const bool one_voter = spaces.size() + lexical_count <= 1;
  if (method == routing::FusionMethod::kAuto && options.fusion == FusionChoice::kConvex && !one_voter) {
    method = routing::FusionMethod::kConvex;
    const auto share = static_cast<float>(options.lexical_weight);
    for (routing::ExpertResult& result : results) {  // of its kind's share, as much as the others
      const bool lexical = result.kind == routing::ExpertKind::kLexical;
      result.weight *= lexical ? share / static_cast<float>(lexical_count)
                               : (1 - share) / static_cast<float>(spaces.size());
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
