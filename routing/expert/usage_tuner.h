// SPDX-License-Identifier: Apache-2.0
// How one router's predictions are best used: the policy that chooses, and how the chosen ones are asked and
// merged. Every way is judged by what the whole chain would answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bitmap.h"
#include "routing/expert/answer_statistics.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/dispatch_trainer.h"
#include "routing/expert/expert_router.h"

namespace trivium::routing {

// What one router, trained in one way, predicts for the evaluated queries.
struct RouterPredictions {
  std::vector<float> utility;      // evaluated x E
  std::vector<float> uncertainty;  // evaluated x E
};

// Settings to be judged: those of each fold, learned from the queries i with i % folds != fold; then those
// learned from all, which are kept. Or only the last, learned from none.
using FoldedAnswers = std::vector<AnswerSettings>;

// One way of using predictions, and what it answers.
struct Usage {
  DispatchOptions policy;
  AnswerSettings answer;
  FoldedAnswers folds;  // that `answer` was judged by; it is the last
  // With a second look: scores of first hits, evaluated x E, where the wider policy asks.
  std::shared_ptr<const std::vector<float>> first_scores;
  std::vector<double> quality;  // per evaluated query
  std::vector<double> top1;     // utility of the expert ranked first
  std::vector<double> asked;    // experts asked
  double objective = 0;         // mean quality less the price of experts, see Score in the source
};

class UsageTuner {
 public:
  // All borrowed. `queries`: the rows of `judged` that are evaluated; `sets`: positions in `queries`.
  UsageTuner(const DispatchQueries& judged, const std::vector<std::uint32_t>& queries, const QuerySets& sets,
             const EvaluateChoice& evaluate, const DispatchTrainingOptions& options);

  // The best of the policies that suit the router named.
  Usage TunePolicy(std::string_view router, const RouterPredictions& predictions) const;
  // Replace *best by what is better: another mixture, with the policy that suits it; another prior; a second
  // look, with the policy before and after it; hits raised that are remembered; another share of lexical
  // experts, which are not asked before.
  void TuneMixture(std::string_view router, const RouterPredictions& predictions, Usage* best) const;
  void TunePrior(const RouterPredictions& predictions, Usage* best) const;
  void TuneSecondLook(const RouterPredictions& predictions, Usage* best) const;
  void TuneMemory(const RouterPredictions& predictions, Usage* best) const;
  void TuneLexical(const RouterPredictions& predictions, Usage* best) const;

  // What everybody answers, merged as `answer` says, and each query's given expert alone.
  Usage EvaluateAll(const AnswerSettings& answer) const;
  Usage EvaluateSingles(const std::vector<std::uint32_t>& expert_of_query) const;

 private:
  void Choose(const RouterPredictions& predictions, std::size_t i, const DispatchOptions& policy,
              const AnswerSettings& answer, Dispatch* dispatch) const;
  // Likewise, more where a second look at `first_scores`, which may be null, is not sure.
  void ChooseOrWiden(const RouterPredictions& predictions, std::size_t i, const DispatchOptions& policy,
                     const AnswerSettings& answer, const std::vector<float>* first_scores,
                     Dispatch* dispatch) const;
  Usage Evaluate(const RouterPredictions& predictions, const DispatchOptions& policy,
                 const FoldedAnswers& answers,
                 std::shared_ptr<const std::vector<float>> first_scores = nullptr) const;
  // The settings of `usage`, each changed in the same way.
  static FoldedAnswers Changed(const Usage& usage, const std::function<void(AnswerSettings*)>& change);
  std::vector<float> FindFirstScores(const RouterPredictions& predictions, const DispatchOptions& policy,
                                     const AnswerSettings& answer) const;
  // Learned where `policy` asks, by folds, then from all queries.
  std::vector<SecondLook> LearnSecondLooks(const RouterPredictions& predictions,
                                           const DispatchOptions& policy, const AnswerSettings& answer,
                                           const std::vector<float>& first_scores) const;
  // For each expert the one of `by_value`'s ways that answered best the queries which are probably its own:
  // `set` gives an expert the setting of that way, by number. By folds, then from all queries.
  FoldedAnswers LearnByExpert(
      const RouterPredictions& predictions, const std::vector<Usage>& by_value,
      const std::function<void(AnswerSettings*, std::size_t expert, std::size_t way)>& set) const;
  void TrySecondLook(const RouterPredictions& predictions, const Usage& start, float temperature,
                     Usage* best) const;
  void Score(Usage* usage) const;
  void Try(const RouterPredictions& predictions, const DispatchOptions& policy, const FoldedAnswers& answers,
           std::shared_ptr<const std::vector<float>> first_scores, Usage* best) const;
  void Try(const RouterPredictions& predictions, const DispatchOptions& policy, const AnswerSettings& answer,
           Usage* best) const {
    Try(predictions, policy, FoldedAnswers{answer}, nullptr, best);
  }
  double UtilityOf(std::size_t i, std::uint32_t expert) const;  // of evaluated query i; unknown: 0

  const DispatchQueries& judged_;
  const std::vector<std::uint32_t>& queries_;
  const QuerySets& sets_;
  const EvaluateChoice& evaluate_;
  const DispatchTrainingOptions& options_;
  const std::size_t expert_count_;
  DispatchOptions base_policy_;
  AnswerSettings base_answer_;
  std::optional<base::Bitmap> choosable_;  // none: every expert
};

}  // namespace trivium::routing
