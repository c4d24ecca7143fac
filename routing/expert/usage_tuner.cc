// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/usage_tuner.h"

#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "base/thread_pool.h"
#include "routing/expert/dispatch_candidates.h"

namespace trivium::routing {
namespace {

// Settings are compared by means over sets, in which a set of so many queries counts half: a dozen queries
// would otherwise decide by chance.
constexpr double kDoubt = 50;

}  // namespace

UsageTuner::UsageTuner(const DispatchQueries& judged, const std::vector<std::uint32_t>& queries,
                       const QuerySets& sets, const EvaluateChoice& evaluate,
                       const DispatchTrainingOptions& options)
    : judged_(judged),
      queries_(queries),
      sets_(sets),
      evaluate_(evaluate),
      options_(options),
      expert_count_(judged.pilots->expert_count()) {
  base_policy_.max_experts = options.max_experts;
  base_policy_.cost_weight = options.cost_weight;
}

double UsageTuner::UtilityOf(std::size_t i, std::uint32_t expert) const {
  const float utility = judged_.pilots->utilities(queries_[i])[expert];
  return std::isnan(utility) ? 0.0 : utility;
}

void UsageTuner::Score(Usage* usage) const {
  double sum = 0, total = 0;
  for (const std::vector<std::uint32_t>& set : sets_) {
    const auto count = static_cast<double>(set.size());
    double worth = 0;
    for (const std::uint32_t i : set) {
      worth += usage->quality[i] - options_.quality_per_expert * usage->asked[i];
    }
    const double weight = count / (count + kDoubt);
    sum += weight * worth / count;
    total += weight;
  }
  usage->objective = sum / total;
}

Usage UsageTuner::Evaluate(const RouterPredictions& predictions, const DispatchOptions& policy,
                           const AnswerSettings& answer) const {
  Usage usage;
  usage.policy = policy;
  usage.answer = answer;
  usage.quality.resize(queries_.size());
  usage.top1.resize(queries_.size());
  usage.asked.resize(queries_.size());
  const int thread_count = base::ResolveThreadCount(options_.thread_count);
  std::vector<Dispatch> dispatches(thread_count);
  base::ParallelFor(queries_.size(), thread_count, 64, [&](std::size_t i, int thread) {
    Dispatch& dispatch = dispatches[thread];
    ChooseExperts(absl::MakeConstSpan(&predictions.utility[i * expert_count_], expert_count_),
                  absl::MakeConstSpan(&predictions.uncertainty[i * expert_count_], expert_count_),
                  options_.costs,
                  /*allowed=*/nullptr, policy, &dispatch);
    usage.quality[i] = evaluate_(queries_[i], dispatch, answer);
    usage.top1[i] = UtilityOf(i, dispatch.chosen.front());
    usage.asked[i] = static_cast<double>(dispatch.chosen.size());
  });
  Score(&usage);
  return usage;
}

Usage UsageTuner::EvaluateSingles(const std::vector<std::uint32_t>& expert_of_query) const {
  Usage usage;
  Dispatch dispatch;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    RequestExperts(expert_count_, absl::MakeConstSpan(&expert_of_query[i], 1), &dispatch);
    usage.quality.push_back(evaluate_(queries_[i], dispatch, {}));
    usage.top1.push_back(UtilityOf(i, expert_of_query[i]));
    usage.asked.push_back(1.0);
  }
  Score(&usage);
  return usage;
}

Usage UsageTuner::EvaluateAll() const {
  std::vector<std::uint32_t> everyone(expert_count_);
  std::iota(everyone.begin(), everyone.end(), 0);
  Usage usage;
  Dispatch dispatch;
  RequestExperts(expert_count_, everyone, &dispatch);
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    double mean_utility = 0;  // of an expert drawn at random, as nobody is ranked first
    for (const std::uint32_t expert : everyone) mean_utility += UtilityOf(i, expert);
    usage.quality.push_back(evaluate_(queries_[i], dispatch, {}));
    usage.top1.push_back(mean_utility / static_cast<double>(expert_count_));
    usage.asked.push_back(static_cast<double>(expert_count_));
  }
  Score(&usage);
  return usage;
}

void UsageTuner::Try(const RouterPredictions& predictions, const DispatchOptions& policy,
                     const AnswerSettings& answer, Usage* best) const {
  Usage usage = Evaluate(predictions, policy, answer);
  if (usage.objective > best->objective) *best = std::move(usage);
}

Usage UsageTuner::TunePolicy(std::string_view router, const RouterPredictions& predictions) const {
  const AnswerSettings answer{.prior_weight = options_.tune_prior ? kPriorWhileTuning : 0.0f};
  std::optional<Usage> best;
  for (const DispatchOptions& policy : PolicyCandidates(router, base_policy_)) {
    Usage usage = Evaluate(predictions, policy, answer);
    if (!best || usage.objective > best->objective) best = std::move(usage);
  }
  return *std::move(best);
}

void UsageTuner::TunePrior(const RouterPredictions& predictions, Usage* best) const {
  if (!options_.tune_prior) return;
  const Usage start = *best;
  for (float prior_weight : kPriorCandidates) {
    AnswerSettings answer = start.answer;
    answer.prior_weight = prior_weight;
    Try(predictions, start.policy, answer, best);
  }
}

void UsageTuner::TuneMixture(std::string_view router, const RouterPredictions& predictions,
                             Usage* best) const {
  const float prior = options_.tune_prior ? kPriorWhileTuning : 0.0f;
  const Usage unmixed = *best;
  for (float own : kOwnCandidates) {
    for (const DispatchOptions& policy : PolicyCandidates(router, base_policy_)) {
      if (policy.top_p != unmixed.policy.top_p) continue;
      Try(predictions, policy, {prior, QueryMixture{own, kPlainWhileTuning}}, best);
    }
  }
  if (!best->answer.mixture) return;
  const Usage mixed = *best;
  for (float own : kOwnCandidates) {
    for (float plain : kPlainCandidates)
      Try(predictions, mixed.policy, {prior, QueryMixture{own, plain}}, best);
  }
  // One search more costs less here than what a wrong adapter would: the cap is tried twice as high, too.
  const Usage weighed = *best;
  for (DispatchOptions policy : PolicyCandidates(router, base_policy_)) {
    if (policy.temperature != weighed.policy.temperature) continue;
    for (std::size_t factor : {1, 2}) {
      policy.max_experts = factor * base_policy_.max_experts;
      Try(predictions, policy, weighed.answer, best);
    }
  }
}

}  // namespace trivium::routing
