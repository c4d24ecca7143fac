// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/usage_tuner.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "base/thread_pool.h"
#include "routing/expert/dispatch_candidates.h"
#include "routing/expert/lexical_share.h"
#include "routing/expert/pilot_weights.h"
#include "routing/expert/second_look_learner.h"

namespace trivium::routing {
namespace {

// Settings are compared by means over sets, in which a set of so many queries counts half: a dozen queries
// would otherwise decide by chance.
constexpr double kDoubt = 50;

constexpr std::size_t kFolds = 5;  // of the queries, for what is learned from them here

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
  if (options.tune_prior) base_answer_.prior_weight = kPriorWhileTuning;
  if (options.lexical.empty()) return;
  base_answer_.lexical_weights.assign(expert_count_, 0.0f);
  choosable_.emplace(expert_count_, true);
  for (const std::uint32_t expert : options.lexical) choosable_->Clear(expert);
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

void UsageTuner::Choose(const RouterPredictions& predictions, std::size_t i, const DispatchOptions& policy,
                        const AnswerSettings& answer, Dispatch* dispatch) const {
  ChooseExperts(absl::MakeConstSpan(&predictions.utility[i * expert_count_], expert_count_),
                absl::MakeConstSpan(&predictions.uncertainty[i * expert_count_], expert_count_),
                options_.costs, choosable_ ? &*choosable_ : nullptr, policy, dispatch);
  const float share =
      answer.lexical_weights.empty() ? 0.0f : LexicalShare(answer.lexical_weights, dispatch->experts);
  if (share > 0 || dispatch->fell_back) JoinExperts(options_.joining, share, dispatch);
}

void UsageTuner::ChooseOrWiden(const RouterPredictions& predictions, std::size_t i,
                               const DispatchOptions& policy, const AnswerSettings& answer,
                               const std::vector<float>* first_scores, Dispatch* dispatch) const {
  Choose(predictions, i, policy, answer, dispatch);
  if (first_scores == nullptr || !answer.second_look || dispatch->fell_back) return;
  const SecondLook& look = *answer.second_look;
  const absl::Span<const float> scores(&(*first_scores)[i * expert_count_], expert_count_);
  if (Revise(look, scores, {}, dispatch) >= look.widen_below) return;
  Choose(predictions, i, Wider(policy, look), answer, dispatch);
}

FoldedAnswers UsageTuner::Changed(const Usage& usage, const std::function<void(AnswerSettings*)>& change) {
  FoldedAnswers answers = usage.folds;
  for (AnswerSettings& answer : answers) change(&answer);
  return answers;
}

Usage UsageTuner::Evaluate(const RouterPredictions& predictions, const DispatchOptions& policy,
                           const FoldedAnswers& answers,
                           std::shared_ptr<const std::vector<float>> first_scores) const {
  Usage usage;
  usage.policy = policy;
  usage.answer = answers.back();
  usage.folds = answers;
  usage.first_scores = std::move(first_scores);
  const std::size_t folds = std::max<std::size_t>(1, answers.size() - 1);
  usage.quality.resize(queries_.size());
  usage.top1.resize(queries_.size());
  usage.asked.resize(queries_.size());
  const int thread_count = base::ResolveThreadCount(options_.thread_count);
  std::vector<Dispatch> dispatches(thread_count);
  base::ParallelFor(queries_.size(), thread_count, 64, [&](std::size_t i, int thread) {
    Dispatch& dispatch = dispatches[thread];
    const AnswerSettings& answer = answers[i % folds];
    ChooseOrWiden(predictions, i, policy, answer, usage.first_scores.get(), &dispatch);
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

Usage UsageTuner::EvaluateAll(const AnswerSettings& answer) const {
  std::vector<std::uint32_t> everyone(expert_count_);
  std::iota(everyone.begin(), everyone.end(), 0);
  Usage usage;
  usage.answer = answer;
  Dispatch dispatch;
  RequestExperts(expert_count_, everyone, &dispatch);
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    double mean_utility = 0;  // of an expert drawn at random, as nobody is ranked first
    for (const std::uint32_t expert : everyone) mean_utility += UtilityOf(i, expert);
    usage.quality.push_back(evaluate_(queries_[i], dispatch, answer));
    usage.top1.push_back(mean_utility / static_cast<double>(expert_count_));
    usage.asked.push_back(static_cast<double>(expert_count_));
  }
  Score(&usage);
  return usage;
}

void UsageTuner::Try(const RouterPredictions& predictions, const DispatchOptions& policy,
                     const FoldedAnswers& answers, std::shared_ptr<const std::vector<float>> first_scores,
                     Usage* best) const {
  Usage usage = Evaluate(predictions, policy, answers, std::move(first_scores));
  if (usage.objective > best->objective) *best = std::move(usage);
}

Usage UsageTuner::TunePolicy(std::string_view router, const RouterPredictions& predictions) const {
  std::optional<Usage> best;
  for (const DispatchOptions& policy : PolicyCandidates(router, base_policy_)) {
    Usage usage = Evaluate(predictions, policy, {base_answer_});
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

std::vector<float> UsageTuner::FindFirstScores(const RouterPredictions& predictions,
                                               const DispatchOptions& policy,
                                               const AnswerSettings& answer) const {
  std::vector<float> scores(queries_.size() * expert_count_, std::numeric_limits<float>::quiet_NaN());
  const int thread_count = base::ResolveThreadCount(options_.thread_count);
  std::vector<Dispatch> dispatches(thread_count);
  base::ParallelFor(queries_.size(), thread_count, 64, [&](std::size_t i, int thread) {
    Choose(predictions, i, policy, answer, &dispatches[thread]);
    if (dispatches[thread].fell_back) return;
    options_.first_scores(queries_[i], dispatches[thread], answer,
                          absl::MakeSpan(&scores[i * expert_count_], expert_count_));
  });
  return scores;
}

std::vector<SecondLook> UsageTuner::LearnSecondLooks(const RouterPredictions& predictions,
                                                     const DispatchOptions& policy,
                                                     const AnswerSettings& answer,
                                                     const std::vector<float>& first_scores) const {
  const std::vector<float> weights = BalancedWeights(*judged_.pilots, 1);
  std::vector<LookedQuery> looked(queries_.size());
  std::vector<float> shares;
  Dispatch dispatch;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    if (!ClassShares(*judged_.pilots, queries_[i], &shares)) continue;
    Choose(predictions, i, policy, answer, &dispatch);
    looked[i].weight = weights[queries_[i]];
    for (const std::uint32_t e : dispatch.chosen) {
      const float score = first_scores[i * expert_count_ + e];
      if (std::isnan(score) || std::isnan(dispatch.experts[e].utility)) continue;
      const float probability = std::max(dispatch.experts[e].probability, kSmallestProbability);
      looked[i].experts.push_back({e, std::log(probability), score, shares[e]});
    }
  }
  std::vector<SecondLook> looks(kFolds + 1);
  base::ParallelFor(looks.size(), base::ResolveThreadCount(options_.thread_count), 1,
                    [&](std::size_t fold, int) {
                      std::vector<const LookedQuery*> rows;
                      for (std::size_t i = 0; i < looked.size(); ++i) {
                        if (i % kFolds != fold) rows.push_back(&looked[i]);  // the last fold has all
                      }
                      looks[fold] = LearnSecondLook(rows, expert_count_);
                    });
  return looks;
}

// Probabilities that were sharpened to make up for what they do not know need not be so sharp then.
void UsageTuner::TuneSecondLook(const RouterPredictions& predictions, Usage* best) const {
  if (!options_.first_scores || !options_.tune_prior || best->policy.max_experts == 1) return;
  const Usage start = *best;
  std::vector<float> temperatures = {start.policy.temperature};
  for (const float flatter : kLookedTemperatures) {
    if (flatter > temperatures.front()) temperatures.push_back(flatter);
  }
  for (const float temperature : temperatures) TrySecondLook(predictions, start, temperature, best);
}

// Learned where the widest policy asks. The policy that chooses first, from how sure a look must be not to
// widen it, and the weight of the prior are then the best of a grid, one after the other.
void UsageTuner::TrySecondLook(const RouterPredictions& predictions, const Usage& start, float temperature,
                               Usage* best) const {
  DispatchOptions first = start.policy;
  first.temperature = temperature;
  const DispatchOptions wide =
      Wider(first, {.wider_top_p = kWiderTopP, .wider_max_experts = 2 * base_policy_.max_experts});
  const auto scores =
      std::make_shared<const std::vector<float>>(FindFirstScores(predictions, wide, start.answer));
  const std::vector<SecondLook> looks = LearnSecondLooks(predictions, wide, start.answer, *scores);
  if (looks.back().score_weight == 0) return;  // experts do not differ in what they find
  const auto with_look = [&](float widen_below) {
    FoldedAnswers answers(looks.size(), start.answer);
    for (std::size_t f = 0; f < looks.size(); ++f) {
      answers[f].second_look = looks[f];
      answers[f].second_look->prior_weight = kLookedPriorWhileTuning;
      answers[f].second_look->widen_below = widen_below;
      answers[f].second_look->wider_top_p = wide.top_p;
      answers[f].second_look->wider_max_experts = wide.max_experts;
    }
    return answers;
  };
  Usage looked = Evaluate(predictions, wide, with_look(0), scores);
  for (const float top_p : {0.9f, 0.98f}) {
    for (const std::size_t cap : {base_policy_.max_experts, wide.max_experts}) {
      DispatchOptions policy = first;
      policy.top_p = top_p;
      policy.max_experts = cap;
      for (const float below : kWidenCandidates) {
        Try(predictions, policy, with_look(below), scores, &looked);
      }
    }
  }
  const Usage chosen = looked;
  for (const float prior_weight : kLookedPriorCandidates) {
    const auto weigh = [&](AnswerSettings* answer) { answer->second_look->prior_weight = prior_weight; };
    Try(predictions, chosen.policy, Changed(chosen, weigh), scores, &looked);
  }
  if (looked.objective > best->objective) *best = std::move(looked);
}

// Raised hits need deeper searches: they must be worth it as another expert must.
void UsageTuner::TuneMemory(const RouterPredictions& predictions, Usage* best) const {
  if (!options_.tune_memory) return;
  const Usage without = *best;
  double least = without.objective + options_.quality_per_expert;
  for (const float threshold : kMemoryThresholds) {
    std::vector<Usage> by_weight = {without};
    for (const float weight : kMemoryWeights) {
      const auto give = [&](AnswerSettings* answer) {
        answer->memory = MemorySettings{threshold, std::vector<float>(expert_count_, weight)};
      };
      by_weight.push_back(
          Evaluate(predictions, without.policy, Changed(without, give), without.first_scores));
    }
    const auto set = [&](AnswerSettings* answer, std::size_t expert, std::size_t way) {
      if (!answer->memory) answer->memory = MemorySettings{threshold, std::vector<float>(expert_count_)};
      answer->memory->weights[expert] = way == 0 ? 0.0f : kMemoryWeights[way - 1];
    };
    Usage weighed = Evaluate(predictions, without.policy, LearnByExpert(predictions, by_weight, set),
                             without.first_scores);
    const std::vector<float>& weights = weighed.answer.memory->weights;
    const bool raises = std::any_of(weights.begin(), weights.end(), [](float weight) { return weight > 0; });
    if (!raises || weighed.objective <= least) continue;
    least = weighed.objective;
    *best = std::move(weighed);
  }
}

void UsageTuner::TuneLexical(const RouterPredictions& predictions, Usage* best) const {
  if (options_.lexical.empty()) return;
  std::vector<Usage> by_share = {*best};  // without them
  for (const float share : kLexicalCandidates) {
    const auto give = [&](AnswerSettings* answer) { answer->lexical_weights.assign(expert_count_, share); };
    by_share.push_back(Evaluate(predictions, best->policy, Changed(*best, give), best->first_scores));
  }
  const auto set = [](AnswerSettings* answer, std::size_t expert, std::size_t way) {
    answer->lexical_weights[expert] = way == 0 ? 0.0f : kLexicalCandidates[way - 1];
  };
  Usage weighed =
      Evaluate(predictions, best->policy, LearnByExpert(predictions, by_share, set), best->first_scores);
  for (Usage& usage : by_share) {
    if (usage.objective > best->objective) *best = std::move(usage);
  }
  if (weighed.objective > best->objective) *best = std::move(weighed);
}

// Drawn to what is best for all as if that had been seen in kDoubt queries more.
FoldedAnswers UsageTuner::LearnByExpert(
    const RouterPredictions& predictions, const std::vector<Usage>& by_value,
    const std::function<void(AnswerSettings*, std::size_t expert, std::size_t way)>& set) const {
  const std::size_t ways = by_value.size();
  std::vector<double> of_all(ways);
  for (std::size_t w = 0; w < ways; ++w) of_all[w] = by_value[w].objective;
  // Fold x expert x way; the last fold has all queries.
  std::vector<double> worth((kFolds + 1) * expert_count_ * ways);
  for (std::size_t f = 0; f <= kFolds; ++f) {
    for (std::size_t e = 0; e < expert_count_; ++e) {
      for (std::size_t w = 0; w < ways; ++w) worth[(f * expert_count_ + e) * ways + w] = kDoubt * of_all[w];
    }
  }
  Dispatch dispatch;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    Choose(predictions, i, by_value.front().policy, by_value.front().answer, &dispatch);
    for (std::size_t f = 0; f <= kFolds; ++f) {
      if (i % kFolds == f) continue;  // the fold's own queries are held out
      for (std::size_t e = 0; e < expert_count_; ++e) {
        for (std::size_t w = 0; w < ways; ++w) {
          worth[(f * expert_count_ + e) * ways + w] +=
              dispatch.experts[e].probability * by_value[w].quality[i];
        }
      }
    }
  }
  FoldedAnswers answers;
  for (std::size_t f = 0; f <= kFolds; ++f) {
    const FoldedAnswers& without = by_value.front().folds;
    AnswerSettings& answer = answers.emplace_back(without.size() > 1 ? without[f] : without.back());
    for (std::size_t e = 0; e < expert_count_; ++e) {
      const auto first = worth.begin() + static_cast<std::ptrdiff_t>((f * expert_count_ + e) * ways);
      const auto best = std::max_element(first, first + static_cast<std::ptrdiff_t>(ways)) - first;
      set(&answer, e, static_cast<std::size_t>(best));
    }
  }
  return answers;
}

void UsageTuner::TuneMixture(std::string_view router, const RouterPredictions& predictions,
                             Usage* best) const {
  const auto mixed_by = [&](float own, float plain) {
    AnswerSettings answer = base_answer_;
    answer.mixture = QueryMixture{own, plain};
    return answer;
  };
  const Usage unmixed = *best;
  for (float own : kOwnCandidates) {
    for (const DispatchOptions& policy : PolicyCandidates(router, base_policy_)) {
      if (policy.top_p != unmixed.policy.top_p) continue;
      Try(predictions, policy, mixed_by(own, kPlainWhileTuning), best);
    }
  }
  const Usage mixed = *best;
  for (float own : kOwnCandidates) {
    for (float plain : kPlainCandidates) Try(predictions, mixed.policy, mixed_by(own, plain), best);
  }
  if (!best->answer.mixture) return;
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
