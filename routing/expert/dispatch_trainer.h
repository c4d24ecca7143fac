// SPDX-License-Identifier: Apache-2.0
// Trains every router, chooses its settings on held-out queries, and decides whether dispatch may become the
// store's default: only if what it chooses answers held-out queries better than asking every expert.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "routing/expert/answer_memory.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/pilot_set.h"
#include "routing/expert/query_mixture.h"
#include "routing/expert/second_look.h"

namespace trivium::routing {

// Judged queries and how useful each expert was for each.
struct DispatchQueries {
  const PilotSet* pilots = nullptr;
  // One per pilot, or empty. Queries of one group (they share a relevant document, or are near twins) do not
  // lie on both sides of a split; see GroupedFolds for the exception.
  std::vector<std::uint64_t> groups = {};
  // One per pilot, or empty: the query set it belongs to. Means are taken within each set, then over sets.
  std::vector<std::uint32_t> sets = {};
};

// How the chosen experts are asked and their lists merged.
struct AnswerSettings {
  float prior_weight = 0;  // beta of score + beta * log(probability); 0: none
  std::optional<QueryMixture>
      mixture;  // asked of all chosen experts; none: each is asked as it reads queries
  // E weights for LexicalShare: lexical experts join whoever is chosen with that share of the answer, merged
  // by convex combination; where it is 0 they are not asked. Empty: they are chosen and merged by rank as
  // experts of another space are.
  std::vector<float> lexical_weights = {};
  // Revises the probabilities by what the chosen experts found; its weight of the prior takes the place of
  // the one above. Whether more experts are asked, who chooses decides, not who answers.
  std::optional<SecondLook> second_look = {};
  // Hits that were judged relevant for queries like this one are raised; none: they are not.
  std::optional<MemorySettings> memory = {};
};

// True quality (nDCG@10) of the fused answer when the experts `choice.chosen` are asked for pilot `query` of
// the validation queries, or of the training queries where none were given. Called from several threads at
// the same time, never twice for one query.
using EvaluateChoice =
    std::function<double(std::size_t query, const Dispatch& choice, const AnswerSettings& settings)>;

// The score of the best hit of each of `choice.chosen` under such settings, NaN where it found nothing,
// cannot be compared with the others, or is not chosen. `scores`: E floats. Called as EvaluateChoice is.
using FirstScores = std::function<void(std::size_t query, const Dispatch& choice,
                                       const AnswerSettings& settings, absl::Span<float> scores)>;

struct DispatchTrainingOptions {
  std::vector<std::string> routers;  // empty: all of RouterNames() that can be trained and may give something
  // What label-free routers learn from, which the held-out queries judge like the others. Null: nothing is
  // known, so there are none of them. `agreement` is empty or has the training queries in their order, then
  // the validation queries: what a router is judged by, it has not learned from.
  const ExpertFacts* facts = nullptr;
  std::vector<float> costs;            // per expert; empty: all free
  std::vector<std::uint32_t> lexical;  // columns of lexical experts, whose share is learned
  std::vector<std::uint32_t> joining;  // those of them that join with it; the others search the same texts
  float cost_weight = 0;
  std::size_t max_experts = 3;
  bool tune_prior = true;     // false: scores of the experts cannot be compared, so they get no prior
  FirstScores first_scores;   // empty: no second look is learned; nor is one where there is no prior
  bool tune_mixture = false;  // true: experts read queries differently, so that readings can be mixed
  bool tune_memory = false;   // true: EvaluateChoice raises what is remembered

  // Without validation queries, every training query is judged by routers trained on the other folds.
  std::size_t fold_count = 5;
  // Queries on which settings are compared, shared evenly by the sets. The cost of training is about
  // 40 settings x 12 policies x this x the cost of EvaluateChoice, and where mixtures are tuned 60 more a
  // router, for which EvaluateChoice has to search anew.
  std::size_t evaluation_count = 6000;
  // One more expert a query must bring this much quality, or the setting with fewer experts is preferred.
  double quality_per_expert = 0.001;
  // Gate: dispatch that asks at most half as many experts may cost this much quality, with 97.5 % confidence.
  double tolerated_loss = 0.005;

  std::size_t bootstrap_rounds = 1000;
  std::uint64_t seed = 0;
  int thread_count = 0;                             // 0: all processors this process may use
  std::function<void(double done_share)> progress;  // on the calling thread; may be empty
  const std::atomic<bool>* cancelled = nullptr;     // checked now and then: kCancelled. May be null

  absl::Status Validate(std::size_t expert_count) const;  // kInvalidArgument names the field
};

// How one way of answering did on the validation queries.
struct AnswerQuality {
  std::string name;         // a router's name, "all", "best_per_set", "best_per_query"
  double quality = 0;       // nDCG@10 of the fused answer, macro mean
  double top1_utility = 0;  // utility of the single expert ranked first
  double experts_per_query = 0;
  double oracle_share = 0;      // (quality - all) / (best_per_query - all); NaN where that is 0
  double oracle_share_low = 0;  // 95 % bootstrap interval of oracle_share
  double oracle_share_high = 0;
  double gain = 0;  // quality - all, with its 95 % paired bootstrap interval
  double gain_low = 0;
  double gain_high = 0;
};

// How a router is used once trained: everything the store must remember beside the router's bytes.
struct DispatchSettings {
  std::string router;
  RouterOptions router_options;
  DispatchOptions policy;
  AnswerSettings answer;
};

struct DispatchReport {
  std::vector<AnswerQuality> answers;      // "all" first, then routers, then oracles
  std::vector<DispatchSettings> settings;  // best found for each router trained, same order
  std::size_t chosen = 0;                  // index into `settings`: the best on validation
  // Of the answer that asks everybody: a share of lexical experts that beats merging by rank, with 97.5 %
  // confidence. "all" in `answers` has it.
  std::optional<float> lexical_weight;
  bool accepted = false;  // gate: `chosen` becomes the default; otherwise all experts stay it
  std::string reason;     // one sentence for people
  std::size_t training_count = 0;
  std::size_t evaluated_count = 0;  // queries behind `answers`
};

struct TrainedDispatch {
  DispatchReport report;
  // Trained on training and validation queries together, aligned with report.settings.
  std::vector<std::unique_ptr<ExpertRouter>> routers;
};

// `validation`: held-out queries, or null: cross-validation by groups within `training`.
//
// Every router is trained with several settings and judged by what the whole chain would answer: predict,
// choose, search the chosen experts, merge. The settings found are then trained on all queries.
//
// kInvalidArgument: no queries, arrays of the wrong length, unknown router, options out of range, a
// label-free router that was named but has no facts. kFailedPrecondition: a single group, which no split can
// separate. kCancelled.
absl::StatusOr<TrainedDispatch> TrainDispatch(const DispatchQueries& training,
                                              const DispatchQueries* validation,
                                              const EvaluateChoice& evaluate_choice,
                                              const DispatchTrainingOptions& options);

}  // namespace trivium::routing
