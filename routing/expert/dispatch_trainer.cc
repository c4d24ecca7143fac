// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/dispatch_trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/answer_statistics.h"
#include "routing/expert/class_targets.h"
#include "routing/expert/dispatch_candidates.h"
#include "routing/expert/query_folds.h"
#include "routing/expert/usage_tuner.h"

namespace trivium::routing {
namespace {

// One way of training one router, with what it predicts.
struct Candidate {
  std::size_t router = 0;  // index into the names
  RouterOptions options;
  RouterPredictions predictions;
};

absl::Status CheckQueries(const DispatchQueries& queries, const char* what) {
  if (queries.pilots == nullptr || queries.pilots->size() == 0) {
    return absl::InvalidArgumentError(absl::StrFormat("%s queries: 0, expected at least 1", what));
  }
  const std::size_t count = queries.pilots->size();
  if (!queries.groups.empty() && queries.groups.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s groups: %d, expected %d", what, queries.groups.size(), count));
  }
  if (!queries.sets.empty() && queries.sets.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s sets: %d, expected %d", what, queries.sets.size(), count));
  }
  return absl::OkStatus();
}

constexpr std::size_t kNoGraph = std::numeric_limits<std::size_t>::max();
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
// How far a router's objective may be behind the best one's and still win by mixing, by a second look or
// memory.
constexpr double kLagToMix = 0.02;
constexpr double kLagToLook = 0.005;

double KnownOrZero(float utility) { return std::isnan(utility) ? 0.0 : utility; }

class Trainer {
 public:
  Trainer(const DispatchQueries& training, const DispatchQueries* validation, const EvaluateChoice& evaluate,
          const DispatchTrainingOptions& options)
      : training_(training),
        judged_(validation != nullptr ? *validation : training),
        cross_validated_(validation == nullptr),
        options_(options),
        expert_count_(training.pilots->expert_count()),
        several_owners_(HasSeveralOwners(*training.pilots)),
        tuner_(judged_, queries_, sets_, evaluate, options) {}

  absl::StatusOr<TrainedDispatch> Run();

 private:
  absl::Status ChooseQueries();
  absl::Status ChooseRouters();
  absl::Status MakeCandidates();
  absl::Status PredictCandidates();
  absl::Status TrainAndPredict(const PilotSet& pilots, const ExpertFacts& facts, std::uint32_t fold,
                               Candidate* candidate) const;
  absl::Status TuneUsage(TrainedDispatch* trained);
  absl::Status TuneAnswers(const std::vector<std::size_t>& best_candidate);
  Usage AnswerOfAll(DispatchReport* report) const;
  std::vector<std::uint32_t> BestPerSet() const;
  std::vector<std::uint32_t> BestPerQuery() const;
  AnswerQuality Describe(std::string name, const Usage& usage, const Usage& all, const Usage& oracle) const;
  void DecideGate(DispatchReport* report) const;
  absl::Status TrainFinal(TrainedDispatch* trained) const;
  absl::Status Step(double done_share) const;

  const DispatchQueries& training_;
  const DispatchQueries& judged_;
  const bool cross_validated_;
  const DispatchTrainingOptions& options_;
  const std::size_t expert_count_;
  const bool several_owners_;
  std::vector<std::string> names_;
  std::vector<std::uint32_t> folds_;    // per judged query
  std::vector<std::uint32_t> queries_;  // evaluated: rows of judged_
  QuerySets sets_;                      // positions in queries_
  std::vector<Candidate> candidates_;
  const UsageTuner tuner_;
  std::vector<Usage> best_usage_;  // per router
};

absl::Status Trainer::Step(double done_share) const {
  if (options_.cancelled != nullptr && options_.cancelled->load()) {
    return absl::CancelledError("training of dispatch: cancelled, expected to finish");
  }
  if (options_.progress) options_.progress(done_share);
  return absl::OkStatus();
}

absl::Status Trainer::ChooseQueries() {
  const std::size_t count = judged_.pilots->size();
  folds_.assign(count, 0);
  if (cross_validated_) {
    folds_ = GroupedFolds(count, judged_.groups, judged_.sets, options_.fold_count, options_.seed);
    if (std::all_of(folds_.begin(), folds_.end(), [&](std::uint32_t f) { return f == folds_[0]; })) {
      return absl::FailedPreconditionError(
          absl::StrFormat("training queries: %d in one group, expected at least 2 groups", count));
    }
  }
  std::vector<std::uint32_t> set_of_query(judged_.sets);
  set_of_query.resize(count, 0);
  QuerySets all = GroupBySet(set_of_query);
  const std::size_t cap = std::max<std::size_t>(1, options_.evaluation_count / all.size());
  base::Random random(options_.seed);
  std::vector<std::uint32_t> evaluated_sets;
  for (std::vector<std::uint32_t>& set : all) {
    random.Shuffle(set);
    set.resize(std::min(set.size(), cap));
    for (std::uint32_t query : set) {
      queries_.push_back(query);
      evaluated_sets.push_back(set_of_query[query]);
    }
  }
  sets_ = GroupBySet(evaluated_sets);
  return absl::OkStatus();
}

// Those named, or all that can be trained and may give something.
absl::Status Trainer::ChooseRouters() {
  const bool named = !options_.routers.empty();
  std::vector<std::string> wanted = options_.routers;
  if (!named) wanted.assign(RouterNames().begin(), RouterNames().end());
  for (const std::string& name : wanted) {
    TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<ExpertRouter> router, MakeRouter(name));
    if (!named && expert_count_ < router->fewest_experts()) continue;
    if (!named && router->wants_several_owners() && !several_owners_) continue;
    if (router->IsLabelFree()) {
      const absl::Status trained =
          TrainRouter(*training_.pilots, options_.facts, {.graph_threshold = kNoGraph}, router.get());
      if (!trained.ok() && !named) continue;
      TRIVIUM_RETURN_IF_ERROR(trained);
    }
    names_.push_back(name);
  }
  return absl::OkStatus();
}

absl::Status Trainer::MakeCandidates() {
  TRIVIUM_RETURN_IF_ERROR(ChooseRouters());
  for (std::size_t r = 0; r < names_.size(); ++r) {
    for (const RouterOptions& options : RouterCandidates(names_[r], several_owners_)) {
      Candidate candidate;
      candidate.router = r;
      candidate.options = options;
      // The settings are compared on scans: a graph costs more to build than these few searches save.
      candidate.options.graph_threshold = kNoGraph;
      candidate.predictions.utility.resize(queries_.size() * expert_count_);
      candidate.predictions.uncertainty.resize(queries_.size() * expert_count_);
      candidates_.push_back(std::move(candidate));
    }
  }
  return absl::OkStatus();
}

absl::Status Trainer::TrainAndPredict(const PilotSet& pilots, const ExpertFacts& facts, std::uint32_t fold,
                                      Candidate* candidate) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::unique_ptr<ExpertRouter> router, MakeRouter(names_[candidate->router]));
  absl::Status trained = TrainRouter(pilots, &facts, candidate->options, router.get());
  if (!trained.ok() && !(router->IsLabelFree() && absl::IsInvalidArgument(trained))) return trained;
  RouterScratch scratch;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    if (folds_[queries_[i]] != fold) continue;
    const auto utility = absl::MakeSpan(&candidate->predictions.utility[i * expert_count_], expert_count_);
    const auto uncertainty =
        absl::MakeSpan(&candidate->predictions.uncertainty[i * expert_count_], expert_count_);
    if (trained.ok()) {
      router->Predict(judged_.pilots->pilot(queries_[i]).vector, &scratch, utility, uncertainty);
    } else {  // all queries had facts for it, the other folds alone have none
      for (const auto& values : {utility, uncertainty}) std::fill(values.begin(), values.end(), kUnknown);
    }
  }
  return absl::OkStatus();
}

absl::Status Trainer::PredictCandidates() {
  const std::size_t fold_count = cross_validated_ ? options_.fold_count : 1;
  for (std::uint32_t fold = 0; fold < fold_count; ++fold) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t i = 0; i < training_.pilots->size(); ++i) {
      if (!cross_validated_ || folds_[i] != fold) rows.push_back(i);
    }
    if (rows.size() == training_.pilots->size() && cross_validated_) continue;  // nobody is in this fold
    PilotSet pilots = training_.pilots->Subset(rows);
    pilots.ForgetExpertsWithoutEvidence();
    const ExpertFacts facts = options_.facts != nullptr ? options_.facts->OfQueries(rows) : ExpertFacts();
    std::vector<absl::Status> statuses(candidates_.size());
    base::ParallelFor(
        candidates_.size(), base::ResolveThreadCount(options_.thread_count), 1,
        [&](std::size_t c, int) { statuses[c] = TrainAndPredict(pilots, facts, fold, &candidates_[c]); });
    for (const absl::Status& status : statuses) TRIVIUM_RETURN_IF_ERROR(status);
    TRIVIUM_RETURN_IF_ERROR(Step(0.5 * (fold + 1) / static_cast<double>(fold_count)));
  }
  return absl::OkStatus();
}

absl::Status Trainer::TuneUsage(TrainedDispatch* trained) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> best_candidate(names_.size(), kNone);
  best_usage_.resize(names_.size());
  for (std::size_t c = 0; c < candidates_.size(); ++c) {
    const std::size_t r = candidates_[c].router;
    Usage usage = tuner_.TunePolicy(names_[r], candidates_[c].predictions);
    if (best_candidate[r] == kNone || usage.objective > best_usage_[r].objective) {
      best_candidate[r] = c;
      best_usage_[r] = std::move(usage);
    }
    TRIVIUM_RETURN_IF_ERROR(Step(0.5 + 0.3 * (c + 1) / static_cast<double>(candidates_.size())));
  }
  TRIVIUM_RETURN_IF_ERROR(TuneAnswers(best_candidate));
  for (std::size_t r = 0; r < names_.size(); ++r) {
    DispatchSettings settings;
    settings.router = names_[r];
    settings.router_options = candidates_[best_candidate[r]].options;
    settings.router_options.graph_threshold = RouterOptions().graph_threshold;
    settings.policy = best_usage_[r].policy;
    settings.answer = best_usage_[r].answer;
    trained->report.settings.push_back(std::move(settings));
  }
  return absl::OkStatus();
}

// The best router first: what takes many searches is tuned only for routers that may win by it.
absl::Status Trainer::TuneAnswers(const std::vector<std::size_t>& best_candidate) {
  std::vector<std::size_t> order(names_.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return best_usage_[a].objective > best_usage_[b].objective;
  });
  const double best_policy = best_usage_[order.front()].objective;
  double best_before_look = -std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < order.size(); ++i) {
    const std::size_t r = order[i];
    const RouterPredictions& predictions = candidates_[best_candidate[r]].predictions;
    Usage& usage = best_usage_[r];
    const bool may_win = usage.objective > best_policy - kLagToMix;
    if (options_.tune_mixture && may_win) tuner_.TuneMixture(names_[r], predictions, &usage);
    tuner_.TunePrior(predictions, &usage);
    best_before_look = std::max(best_before_look, usage.objective);
    if (usage.objective > best_before_look - kLagToLook) {
      tuner_.TuneSecondLook(predictions, &usage);
      tuner_.TuneMemory(predictions, &usage);
    }
    if (may_win) tuner_.TuneLexical(predictions, &usage);
    TRIVIUM_RETURN_IF_ERROR(Step(0.8 + 0.2 * static_cast<double>(i + 1) / static_cast<double>(order.size())));
  }
  return absl::OkStatus();
}

Usage Trainer::AnswerOfAll(DispatchReport* report) const {
  Usage by_rank = tuner_.EvaluateAll({});
  if (options_.lexical.empty()) return by_rank;
  Usage best = by_rank;
  for (const float share : kLexicalCandidates) {
    AnswerSettings answer;
    answer.lexical_weights.assign(expert_count_, share);
    Usage usage = tuner_.EvaluateAll(answer);
    if (usage.objective > best.objective) best = std::move(usage);
  }
  const GainIntervals intervals = BootstrapGain(best.quality, by_rank.quality, best.quality, sets_,
                                                options_.bootstrap_rounds, options_.seed);
  if (intervals.gain.low <= 0) return by_rank;
  report->lexical_weight = best.answer.lexical_weights.front();
  return best;
}

std::vector<std::uint32_t> Trainer::BestPerSet() const {
  std::vector<std::uint32_t> best(queries_.size(), 0);
  for (const std::vector<std::uint32_t>& set : sets_) {
    std::vector<double> total(expert_count_, 0.0);
    for (std::uint32_t i : set) {
      const absl::Span<const float> utilities = judged_.pilots->utilities(queries_[i]);
      for (std::size_t e = 0; e < expert_count_; ++e) total[e] += KnownOrZero(utilities[e]);
    }
    const auto expert =
        static_cast<std::uint32_t>(std::max_element(total.begin(), total.end()) - total.begin());
    for (std::uint32_t i : set) best[i] = expert;
  }
  return best;
}

std::vector<std::uint32_t> Trainer::BestPerQuery() const {
  std::vector<std::uint32_t> best(queries_.size(), 0);
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    const absl::Span<const float> utilities = judged_.pilots->utilities(queries_[i]);
    for (std::uint32_t e = 1; e < expert_count_; ++e) {
      if (KnownOrZero(utilities[e]) > KnownOrZero(utilities[best[i]])) best[i] = e;
    }
  }
  return best;
}

AnswerQuality Trainer::Describe(std::string name, const Usage& usage, const Usage& all,
                                const Usage& oracle) const {
  AnswerQuality answer;
  answer.name = std::move(name);
  answer.quality = MacroMean(usage.quality, sets_);
  answer.top1_utility = MacroMean(usage.top1, sets_);
  answer.experts_per_query = MacroMean(usage.asked, sets_);
  answer.gain = answer.quality - MacroMean(all.quality, sets_);
  const double oracle_gain = MacroMean(oracle.quality, sets_) - MacroMean(all.quality, sets_);
  answer.oracle_share =
      oracle_gain > 0 ? answer.gain / oracle_gain : std::numeric_limits<double>::quiet_NaN();
  const GainIntervals intervals = BootstrapGain(usage.quality, all.quality, oracle.quality, sets_,
                                                options_.bootstrap_rounds, options_.seed);
  answer.gain_low = intervals.gain.low;
  answer.gain_high = intervals.gain.high;
  answer.oracle_share_low = intervals.oracle_share.low;
  answer.oracle_share_high = intervals.oracle_share.high;
  return answer;
}

void Trainer::DecideGate(DispatchReport* report) const {
  for (std::size_t r = 1; r < names_.size(); ++r) {
    if (best_usage_[r].objective > best_usage_[report->chosen].objective) report->chosen = r;
  }
  const AnswerQuality& all = report->answers.front();
  const AnswerQuality& best = report->answers[1 + report->chosen];
  const bool better = best.gain_low > 0;
  const bool cheaper = best.gain_low >= -options_.tolerated_loss &&
                       2 * best.experts_per_query <= static_cast<double>(expert_count_);
  report->accepted = better || cheaper;
  const char* verdict = better    ? "answers better than asking all"
                        : cheaper ? "answers as well as asking all, at half the searches or fewer"
                                  : "does not answer better than asking all, which stays the default";
  report->reason = absl::StrFormat(
      "%s %s: nDCG@10 %.4f with %.2f experts a query against %.4f with %d, gain %+.4f [%+.4f, %+.4f] on %d "
      "held-out queries",
      best.name, verdict, best.quality, best.experts_per_query, all.quality, expert_count_, best.gain,
      best.gain_low, best.gain_high, queries_.size());
}

absl::Status Trainer::TrainFinal(TrainedDispatch* trained) const {
  std::vector<const PilotSet*> parts = {training_.pilots};
  if (!cross_validated_) parts.push_back(judged_.pilots);
  PilotSet pilots(training_.pilots->dimension(), expert_count_);
  for (const PilotSet* part : parts) {
    for (std::size_t i = 0; i < part->size(); ++i) TRIVIUM_RETURN_IF_ERROR(pilots.Add(part->pilot(i)));
  }
  pilots.ForgetExpertsWithoutEvidence();
  for (const DispatchSettings& settings : trained->report.settings) {
    TRIVIUM_ASSIGN_OR_RETURN(std::unique_ptr<ExpertRouter> router, MakeRouter(settings.router));
    TRIVIUM_RETURN_IF_ERROR(TrainRouter(pilots, options_.facts, settings.router_options, router.get()));
    trained->routers.push_back(std::move(router));
  }
  return absl::OkStatus();
}

absl::StatusOr<TrainedDispatch> Trainer::Run() {
  TRIVIUM_RETURN_IF_ERROR(ChooseQueries());
  TRIVIUM_RETURN_IF_ERROR(MakeCandidates());
  TRIVIUM_RETURN_IF_ERROR(PredictCandidates());
  TrainedDispatch trained;
  TRIVIUM_RETURN_IF_ERROR(TuneUsage(&trained));

  DispatchReport& report = trained.report;
  report.training_count = training_.pilots->size();
  report.evaluated_count = queries_.size();
  const Usage all = AnswerOfAll(&report);
  const Usage oracle = tuner_.EvaluateSingles(BestPerQuery());
  report.answers.push_back(Describe("all", all, all, oracle));
  for (std::size_t r = 0; r < names_.size(); ++r) {
    report.answers.push_back(Describe(names_[r], best_usage_[r], all, oracle));
  }
  report.answers.push_back(Describe("best_per_set", tuner_.EvaluateSingles(BestPerSet()), all, oracle));
  report.answers.push_back(Describe("best_per_query", oracle, all, oracle));
  DecideGate(&report);
  TRIVIUM_RETURN_IF_ERROR(TrainFinal(&trained));
  TRIVIUM_RETURN_IF_ERROR(Step(1.0));
  return trained;
}

}  // namespace

absl::Status DispatchTrainingOptions::Validate(std::size_t expert_count) const {
  if (!costs.empty() && costs.size() != expert_count) {
    return absl::InvalidArgumentError(absl::StrFormat("costs: %d, expected %d", costs.size(), expert_count));
  }
  for (const auto& [name, columns] : {std::pair("lexical", &lexical), std::pair("joining", &joining)}) {
    for (const std::uint32_t column : *columns) {
      if (column < expert_count) continue;
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: column %d, expected below %d", name, column, expert_count));
    }
  }
  if (fold_count < 2)
    return absl::InvalidArgumentError(absl::StrFormat("fold_count: %d, expected at least 2", fold_count));
  if (evaluation_count == 0) return absl::InvalidArgumentError("evaluation_count: 0, expected at least 1");
  if (bootstrap_rounds == 0) return absl::InvalidArgumentError("bootstrap_rounds: 0, expected at least 1");
  DispatchOptions policy;
  policy.cost_weight = cost_weight;
  return policy.Validate();
}

absl::StatusOr<TrainedDispatch> TrainDispatch(const DispatchQueries& training,
                                              const DispatchQueries* validation,
                                              const EvaluateChoice& evaluate_choice,
                                              const DispatchTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(CheckQueries(training, "training"));
  TRIVIUM_RETURN_IF_ERROR(options.Validate(training.pilots->expert_count()));
  if (validation != nullptr) {
    TRIVIUM_RETURN_IF_ERROR(CheckQueries(*validation, "validation"));
    if (validation->pilots->dimension() != training.pilots->dimension() ||
        validation->pilots->expert_count() != training.pilots->expert_count()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("validation queries: %d dimensions and %d experts, expected %d and %d",
                          validation->pilots->dimension(), validation->pilots->expert_count(),
                          training.pilots->dimension(), training.pilots->expert_count()));
    }
  }
  const std::size_t agreeing = options.facts != nullptr ? options.facts->agreement.size() : 0;
  const std::size_t all = training.pilots->size() + (validation != nullptr ? validation->pilots->size() : 0);
  if (agreeing != 0 && agreeing != all) {
    return absl::InvalidArgumentError(
        absl::StrFormat("facts: agreement over %d queries, expected %d, or none", agreeing, all));
  }
  return Trainer(training, validation, evaluate_choice, options).Run();
}

}  // namespace trivium::routing
