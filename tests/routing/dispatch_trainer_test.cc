// SPDX-License-Identifier: Apache-2.0
#include "routing/expert/dispatch_trainer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "routing/expert/lexical_share.h"
#include "tests/support/status_matchers.h"
#include "tests/support/synthetic_pilots.h"

namespace trivium::routing {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing_support::ClusteredQueries;

constexpr std::size_t kExpertCount = 6;

// A world in which every further expert that is asked dilutes the answer: quality = the best utility among
// those chosen, minus `dilution` for each expert beyond the first.
EvaluateChoice Diluted(const PilotSet& pilots, double dilution) {
  return [&pilots, dilution](std::size_t query, const Dispatch& choice, const AnswerSettings&) {
    double best = 0;
    for (std::uint32_t e : choice.chosen) best = std::max<double>(best, pilots.utilities(query)[e]);
    return std::max(0.0, best - dilution * static_cast<double>(choice.chosen.size() - 1));
  };
}

// The right expert is drawn at random: no router can know it.
PilotSet Unpredictable(ClusteredQueries* source, std::size_t count) {
  base::Random random(77);
  PilotSet pilots(16, kExpertCount);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<float> vector = source->Draw(i % kExpertCount);
    EXPECT_OK(pilots.Add({.vector = vector, .utilities = source->Utilities(random.Below(kExpertCount))}));
  }
  return pilots;
}

DispatchTrainingOptions Quick() {
  DispatchTrainingOptions options;
  options.bootstrap_rounds = 200;
  options.thread_count = 2;
  return options;
}

const AnswerQuality& Answer(const DispatchReport& report, std::string_view name) {
  const auto found = std::find_if(report.answers.begin(), report.answers.end(),
                                  [&](const AnswerQuality& answer) { return answer.name == name; });
  EXPECT_NE(found, report.answers.end()) << name;
  return *found;
}

TEST(TrainDispatch, AcceptsARouterThatChoosesWell) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(300);
  const ExpertFacts facts = testing_support::FactsOf(pilots);
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.facts = &facts;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options));
  const DispatchReport& report = trained.report;
  EXPECT_TRUE(report.accepted) << report.reason;
  EXPECT_THAT(report.reason, HasSubstr("better than asking all"));
  EXPECT_EQ(report.training_count, 300u);
  EXPECT_EQ(report.evaluated_count, 300u);

  // Not bilevel, which is for many experts, nor pooled, which is for queries with several owners.
  const std::size_t tried = RouterNames().size() - 2;
  ASSERT_EQ(report.answers.size(), tried + 3);
  ASSERT_EQ(report.settings.size(), tried);
  ASSERT_EQ(trained.routers.size(), tried);
  EXPECT_NEAR(Answer(report, "all").quality, 0.9 - 0.05 * 5, 1e-6);
  EXPECT_EQ(Answer(report, "all").experts_per_query, 6);
  EXPECT_NEAR(Answer(report, "best_per_query").quality, 0.9, 1e-6);
  EXPECT_NEAR(Answer(report, "best_per_query").oracle_share, 1, 1e-9);
  EXPECT_GT(Answer(report, "knn_utility").quality, 0.8);
  EXPECT_GT(Answer(report, "linear").quality, 0.8);
  EXPECT_GT(Answer(report, "knn_utility").oracle_share_low, 0.5);
  EXPECT_LT(Answer(report, "static_best").quality, 0.7);
  for (std::size_t r = 0; r < trained.routers.size(); ++r) {
    EXPECT_EQ(trained.routers[r]->name(), report.settings[r].router);
    EXPECT_EQ(report.answers[1 + r].name, report.settings[r].router);
    EXPECT_OK(report.settings[r].policy.Validate());
    EXPECT_OK(report.settings[r].router_options.Validate());
  }
  EXPECT_NE(report.settings[report.chosen].router, "static_best");
}

TEST(TrainDispatch, AnExpertThatNoQueryIsForStaysUnknown) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  PilotSet pilots(16, kExpertCount);
  for (std::size_t i = 0; i < 200; ++i) {
    const std::size_t expert = i % (kExpertCount - 1);
    std::vector<float> utilities(kExpertCount, 0.0f);
    utilities[expert] = 0.9f;
    const std::vector<float> vector = source.Draw(expert);
    ASSERT_OK(pilots.Add({.vector = vector, .utilities = utilities}));
  }
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.0), Quick()));
  RouterScratch scratch;
  std::vector<float> utility(kExpertCount), uncertainty(kExpertCount);
  for (const auto& router : trained.routers) {
    router->Predict(pilots.pilot(3).vector, &scratch, absl::MakeSpan(utility), absl::MakeSpan(uncertainty));
    EXPECT_TRUE(std::isnan(utility[kExpertCount - 1])) << router->name();
    EXPECT_FALSE(std::isnan(utility[3])) << router->name();
  }
}

TEST(TrainDispatch, RejectsRoutersThatCannotKnow) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = Unpredictable(&source, 300);
  DispatchQueries queries{.pilots = &pilots};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.01), Quick()));
  EXPECT_FALSE(trained.report.accepted) << trained.report.reason;
  EXPECT_THAT(trained.report.reason, HasSubstr("stays the default"));
  EXPECT_LT(Answer(trained.report, "knn_utility").gain, 0);
  EXPECT_EQ(trained.routers.size(), trained.report.settings.size());  // still reachable by an explicit flag
}

TEST(TrainDispatch, LeavesOutLabelFreeRoutersThatHaveNoFacts) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(60);
  ExpertFacts facts = testing_support::FactsOf(pilots);
  for (ExpertFacts::Expert& expert : facts.experts) {
    expert.description = base::AlignedMatrix();
    expert.cells.clear();
  }
  facts.agreement = PilotSet();
  const DispatchQueries queries{.pilots = &pilots};
  const auto names = [&](const DispatchTrainingOptions& options) {
    std::vector<std::string> found;
    const absl::StatusOr<TrainedDispatch> trained =
        TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options);
    EXPECT_OK(trained.status());
    for (const DispatchSettings& settings : trained->report.settings) found.push_back(settings.router);
    return found;
  };
  DispatchTrainingOptions options = Quick();
  EXPECT_THAT(names(options), Not(Contains(AnyOf("tree", "moments", "description", "agreement"))));
  options.facts = &facts;
  EXPECT_THAT(names(options), Contains("moments"));
  EXPECT_THAT(names(options), Not(Contains(AnyOf("tree", "description", "agreement"))));
  options.routers = {"description"};
  EXPECT_THAT(TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("router description")));
}

// Where the right expert is drawn at random, only the query itself could say who it is.
TEST(TrainDispatch, AQuerysOwnAgreementDoesNotTeachWhoAnswersIt) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = Unpredictable(&source, 240);
  const ExpertFacts facts = testing_support::FactsOf(pilots);
  DispatchTrainingOptions options = Quick();
  options.facts = &facts;
  options.routers = {"agreement"};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.01), options));
  EXPECT_LT(Answer(trained.report, "agreement").top1_utility, 0.4);

  std::vector<std::uint32_t> first(120), last(120);
  std::iota(first.begin(), first.end(), 0);
  std::iota(last.begin(), last.end(), 120);
  const PilotSet some = pilots.Subset(first), others = pilots.Subset(last);
  const DispatchQueries training{.pilots = &some}, validation{.pilots = &others};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch validated,
                       TrainDispatch(training, &validation, Diluted(others, 0.01), options));
  EXPECT_LT(Answer(validated.report, "agreement").top1_utility, 0.4);
  // In the end it has learned from all of them.
  EXPECT_EQ(validated.routers[0]->Save(), trained.routers[0]->Save());
}

TEST(TrainDispatch, RefusesAgreementOverOtherQueries) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(30), fewer = source.Pilots(29);
  const ExpertFacts facts = testing_support::FactsOf(fewer);
  DispatchTrainingOptions options = Quick();
  options.facts = &facts;
  EXPECT_THAT(
      TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.05), options).status(),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("agreement over 29 queries, expected 30")));
}

// Answers to one query alone differ: the fold that holds it out has nothing to learn from, and asks all.
TEST(TrainDispatch, AFoldWithoutFactsKnowsNobody) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(30);
  ExpertFacts facts;
  facts.agreement = PilotSet(16, kExpertCount);
  for (std::size_t i = 0; i < pilots.size(); ++i) {
    std::vector<float> agreement(kExpertCount, 1.0f);
    if (i == 7) agreement[3] = 0;
    ASSERT_OK(facts.agreement.Add({.vector = pilots.pilot(i).vector, .utilities = agreement}));
  }
  DispatchTrainingOptions options = Quick();
  options.facts = &facts;
  options.routers = {"agreement"};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.05), options));
  EXPECT_GT(Answer(trained.report, "agreement").experts_per_query, 1);
}

TEST(TrainDispatch, TriesARouterForManyExpertsWhereThereAreManyOrItIsNamed) {
  for (const std::size_t expert_count : {31, 32}) {
    ClusteredQueries source(8, expert_count, 0.3, 1);
    const PilotSet pilots = source.Pilots(2 * expert_count);
    DispatchTrainingOptions options = Quick();
    options.fold_count = 2;
    ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                         TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.05), options));
    std::vector<std::string> tried;
    for (const DispatchSettings& settings : trained.report.settings) tried.push_back(settings.router);
    EXPECT_EQ(std::count(tried.begin(), tried.end(), "bilevel"), expert_count < 32 ? 0 : 1);
    options.routers = {"bilevel"};
    EXPECT_OK(TrainDispatch({.pilots = &pilots}, nullptr, Diluted(pilots, 0.05), options).status());
  }
}

TEST(TrainDispatch, AcceptsTheSameQualityAtFewerSearches) {
  ClusteredQueries source(16, kExpertCount, 0.3, 1);
  const PilotSet pilots = source.Pilots(300);
  DispatchQueries queries{.pilots = &pilots};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.0), Quick()));
  EXPECT_TRUE(trained.report.accepted);
  EXPECT_THAT(trained.report.reason, HasSubstr("half the searches"));
  EXPECT_LE(trained.report.answers[1 + trained.report.chosen].experts_per_query, 3);
}

TEST(TrainDispatch, JudgesOnGivenValidationQueriesAndTrainsOnBoth) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(200);
  const PilotSet held_out = source.Pilots(60);
  DispatchQueries queries{.pilots = &pilots}, validation{.pilots = &held_out};
  std::atomic<std::size_t> largest{0};
  const EvaluateChoice inner = Diluted(held_out, 0.05);
  const EvaluateChoice counting = [&](std::size_t query, const Dispatch& choice,
                                      const AnswerSettings& settings) {
    std::size_t seen = largest;
    while (seen < query && !largest.compare_exchange_weak(seen, query)) {
    }
    return inner(query, choice, settings);
  };
  DispatchTrainingOptions options = Quick();
  options.routers = {"knn_utility"};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained, TrainDispatch(queries, &validation, counting, options));
  EXPECT_EQ(largest, 59u);
  EXPECT_EQ(trained.report.training_count, 200u);
  EXPECT_EQ(trained.report.evaluated_count, 60u);
  EXPECT_TRUE(trained.report.accepted);
  ASSERT_EQ(trained.routers.size(), 1u);

  // A held-out pilot is its own nearest neighbour now.
  RouterScratch scratch;
  std::vector<float> utility(kExpertCount), uncertainty(kExpertCount);
  trained.routers[0]->Predict(held_out.pilot(4).vector, &scratch, absl::MakeSpan(utility),
                              absl::MakeSpan(uncertainty));
  EXPECT_EQ(std::max_element(utility.begin(), utility.end()) - utility.begin(), 4);
}

TEST(TrainDispatch, LearnsAScorePriorOnlyWhereItHelpsAndIsWanted) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(120);
  const EvaluateChoice inner = Diluted(pilots, 0.05);
  const EvaluateChoice likes_prior = [&](std::size_t query, const Dispatch& choice,
                                         const AnswerSettings& settings) {
    return inner(query, choice, {}) - 0.5 * std::abs(settings.prior_weight - 0.04f);
  };
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"linear"};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch with, TrainDispatch(queries, nullptr, likes_prior, options));
  EXPECT_FLOAT_EQ(with.report.settings[0].answer.prior_weight, 0.04f);
  options.tune_prior = false;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch without, TrainDispatch(queries, nullptr, likes_prior, options));
  EXPECT_EQ(without.report.settings[0].answer.prior_weight, 0);
}

// The last expert is lexical: with share s of the answer it adds `worth` less the distance of s from 0.3.
EvaluateChoice WithWords(const PilotSet& pilots, double worth) {
  return [inner = Diluted(pilots, 0.0), worth](std::size_t query, const Dispatch& choice,
                                               const AnswerSettings& settings) {
    const ExpertChoice& words = choice.experts[kExpertCount - 1];
    const double share =
        settings.lexical_weights.empty() ? 1.0 : LexicalShare(settings.lexical_weights, choice.experts);
    if (words.reason == ChoiceReason::kJoins) {
      EXPECT_EQ(words.probability, static_cast<float>(share));
    }
    EXPECT_NE(words.reason, ChoiceReason::kTopP);  // it is not chosen by its utility
    return inner(query, choice, {}) + (words.chosen && share > 0 ? worth - std::abs(share - 0.3) : 0.0);
  };
}

TEST(TrainDispatch, LearnsTheShareOfLexicalExperts) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(120);
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"linear"};
  options.lexical = options.joining = {kExpertCount - 1};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch(queries, nullptr, WithWords(pilots, 0.2), options));
  EXPECT_THAT(trained.report.settings[0].answer.lexical_weights, Each(0.3f));
  EXPECT_EQ(trained.report.lexical_weight, 0.3f);
  EXPECT_NEAR(Answer(trained.report, "all").quality, 0.9 + 0.2, 1e-6);

  ASSERT_OK_AND_ASSIGN(const TrainedDispatch harmed,
                       TrainDispatch(queries, nullptr, WithWords(pilots, -1.0), options));
  EXPECT_THAT(harmed.report.settings[0].answer.lexical_weights, Each(0.0f));
  options.lexical = {kExpertCount};
  EXPECT_THAT(TrainDispatch(queries, nullptr, WithWords(pilots, 0.2), options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("lexical: column 6")));
}

// Words serve the queries of the first expert, and harm those of all others.
TEST(TrainDispatch, LearnsAShareForTheQueriesOfEachExpert) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(600);
  const EvaluateChoice evaluate = [&pilots](std::size_t query, const Dispatch& choice,
                                            const AnswerSettings& settings) {
    const double share =
        settings.lexical_weights.empty() ? 0.5 : LexicalShare(settings.lexical_weights, choice.experts);
    const absl::Span<const float> utilities = pilots.utilities(query);
    const auto best = std::max_element(utilities.begin(), utilities.end()) - utilities.begin();
    return best == kExpertCount - 1 ? 0.0 : best == 0 ? 0.5 + share : 0.5 - share;
  };
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"linear"};
  options.lexical = options.joining = {kExpertCount - 1};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained, TrainDispatch(queries, nullptr, evaluate, options));
  const std::vector<float>& weights = trained.report.settings[0].answer.lexical_weights;
  ASSERT_EQ(weights.size(), kExpertCount);
  EXPECT_EQ(weights[0], 0.5f);
  for (std::size_t e = 1; e + 1 < kExpertCount; ++e) EXPECT_EQ(weights[e], 0.0f) << e;
}

// What is remembered serves the queries of the first expert where earlier ones must be similar by 0.7, and
// harms those of all others.
TEST(TrainDispatch, LearnsAWeightOfMemoryForEachExpert) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(600);
  const auto evaluate = [&pilots](double worth) {
    return [&pilots, worth](std::size_t query, const Dispatch& choice, const AnswerSettings& settings) {
      const absl::Span<const float> utilities = pilots.utilities(query);
      const auto best = std::max_element(utilities.begin(), utilities.end()) - utilities.begin();
      if (!settings.memory || !choice.experts[best].chosen) return 0.5;
      EXPECT_EQ(settings.memory->weights.size(), kExpertCount);
      const double weight = settings.memory->weights[best];
      return 0.5 + (best == 0 ? worth * (1 - std::abs(settings.memory->threshold - 0.7)) : -1.0) * weight / 2;
    };
  };
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"linear"};
  options.tune_memory = true;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained, TrainDispatch(queries, nullptr, evaluate(1), options));
  const std::optional<MemorySettings>& memory = trained.report.settings[0].answer.memory;
  ASSERT_TRUE(memory.has_value());
  EXPECT_FLOAT_EQ(memory->threshold, 0.7f);
  EXPECT_THAT(memory->weights, ::testing::ElementsAre(0.8f, 0, 0, 0, 0, 0));

  ASSERT_OK_AND_ASSIGN(const TrainedDispatch harmed, TrainDispatch(queries, nullptr, evaluate(-1), options));
  EXPECT_FALSE(harmed.report.settings[0].answer.memory.has_value());
  options.tune_memory = false;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch unasked, TrainDispatch(queries, nullptr, evaluate(1), options));
  EXPECT_FALSE(unasked.report.settings[0].answer.memory.has_value());
}

TEST(LexicalShare, IsTheMeanOfTheWeightsByProbability) {
  std::vector<ExpertChoice> experts(4);
  for (std::size_t e = 0; e < 4; ++e) experts[e].probability = 0.1f * static_cast<float>(e + 1);
  experts[3].reason = ChoiceReason::kJoins;
  const std::vector<float> weights = {0.5f, 0.2f, 0.0f, 1.0f};
  EXPECT_NEAR(LexicalShare(weights, experts), (0.1 * 0.5 + 0.2 * 0.2) / 0.6, 1e-6);
  EXPECT_NEAR(LexicalShare(weights, experts, {1, -1, 0, 3}), (0.1 * 0.2 + 0.3 * 0.5) / 0.4, 1e-6);
  EXPECT_EQ(LexicalShare(weights, experts, {-1, -1, -1, -1}), 0);
}

TEST(TrainDispatch, LearnsNoShareWhereThereAreNoLexicalExperts) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(120);
  DispatchQueries queries{.pilots = &pilots};
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch trained,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), Quick()));
  for (const DispatchSettings& settings : trained.report.settings) {
    EXPECT_THAT(settings.answer.lexical_weights, IsEmpty()) << settings.router;
  }
  EXPECT_FALSE(trained.report.lexical_weight.has_value());
}

TEST(TrainDispatch, LearnsAMixtureOnlyWhereItHelpsAndIsWanted) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(120);
  const EvaluateChoice inner = Diluted(pilots, 0.05);
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"logistic"};
  options.tune_mixture = true;
  const EvaluateChoice likes_mixture = [&](std::size_t query, const Dispatch& choice,
                                           const AnswerSettings& settings) {
    const double miss =
        settings.mixture ? std::abs(settings.mixture->own - 0.65f) + std::abs(settings.mixture->plain - 0.75f)
                         : 2;
    return inner(query, choice, {}) - 0.2 * miss;
  };
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch with, TrainDispatch(queries, nullptr, likes_mixture, options));
  ASSERT_TRUE(with.report.settings[0].answer.mixture.has_value());
  EXPECT_FLOAT_EQ(with.report.settings[0].answer.mixture->own, 0.65f);
  EXPECT_FLOAT_EQ(with.report.settings[0].answer.mixture->plain, 0.75f);

  const EvaluateChoice shuns_mixture = [&](std::size_t query, const Dispatch& choice,
                                           const AnswerSettings& settings) {
    return inner(query, choice, {}) - (settings.mixture ? 0.1 : 0);
  };
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch plain, TrainDispatch(queries, nullptr, shuns_mixture, options));
  EXPECT_FALSE(plain.report.settings[0].answer.mixture.has_value());
  options.tune_mixture = false;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch without,
                       TrainDispatch(queries, nullptr, likes_mixture, options));
  EXPECT_FALSE(without.report.settings[0].answer.mixture.has_value());
}

// Routes are blurred, but the best hit of the right expert is nearer. An answer is half good where the right
// expert is asked, and good where it has the largest revised share.
TEST(TrainDispatch, LearnsASecondLookOnlyWhereItHelps) {
  ClusteredQueries source(16, kExpertCount, 3.0, 1);
  const PilotSet pilots = source.Pilots(300);
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  options.routers = {"logistic"};
  options.quality_per_expert = 0.02;
  options.first_scores = [&](std::size_t query, const Dispatch& choice, const AnswerSettings&,
                             absl::Span<float> scores) {
    std::fill(scores.begin(), scores.end(), std::nanf(""));
    for (const std::uint32_t e : choice.chosen) scores[e] = e == query % kExpertCount ? 0.8f : 0.5f;
  };
  const auto revised = [&](std::size_t query, Dispatch choice, const AnswerSettings& settings) {
    const double asked = choice.experts[query % kExpertCount].chosen ? 0.5 : 0.0;
    if (!settings.second_look || choice.fell_back) return asked;
    std::vector<float> scores(kExpertCount);
    options.first_scores(query, choice, settings, absl::MakeSpan(scores));
    Revise(*settings.second_look, scores, {}, &choice);
    const float own = choice.experts[query % kExpertCount].revised;
    return own > 0.5f ? 1.0 : asked;
  };
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch with, TrainDispatch(queries, nullptr, revised, options));
  const std::optional<SecondLook>& look = with.report.settings[0].answer.second_look;
  ASSERT_TRUE(look.has_value());
  EXPECT_GT(look->score_weight, 0);
  EXPECT_EQ(look->bias.size(), kExpertCount);
  // Asking few, and more only where they leave it unsure, is cheaper than asking many always.
  EXPECT_GT(look->widen_below, 0);
  EXPECT_LT(with.report.answers[1].experts_per_query, 5);
  EXPECT_GT(with.report.answers[1].quality, 0.8);

  const EvaluateChoice shuns = [&](std::size_t query, const Dispatch& choice,
                                   const AnswerSettings& settings) {
    return Diluted(pilots, 0.05)(query, choice, {}) - (settings.second_look ? 0.5 : 0);
  };
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch without, TrainDispatch(queries, nullptr, shuns, options));
  EXPECT_FALSE(without.report.settings[0].answer.second_look.has_value());
  options.first_scores = nullptr;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch blind, TrainDispatch(queries, nullptr, revised, options));
  EXPECT_FALSE(blind.report.settings[0].answer.second_look.has_value());
}

TEST(TrainDispatch, IsTheSameForTheSameSeedWhateverTheThreads) {
  ClusteredQueries source(16, kExpertCount, 1.2, 1);
  const PilotSet pilots = source.Pilots(150);
  DispatchQueries queries{.pilots = &pilots};
  queries.sets.assign(150, 0);
  std::fill(queries.sets.begin() + 100, queries.sets.end(), 1);
  DispatchTrainingOptions options = Quick();
  options.evaluation_count = 60;
  options.thread_count = 1;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch a,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options));
  options.thread_count = 3;
  ASSERT_OK_AND_ASSIGN(const TrainedDispatch b,
                       TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options));
  EXPECT_EQ(a.report.reason, b.report.reason);
  EXPECT_EQ(a.report.evaluated_count, 60u);
  for (std::size_t i = 0; i < a.report.answers.size(); ++i) {
    EXPECT_EQ(a.report.answers[i].quality, b.report.answers[i].quality);
  }
}

TEST(TrainDispatch, ReportsProgressAndStopsWhenCancelled) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(60);
  DispatchQueries queries{.pilots = &pilots};
  DispatchTrainingOptions options = Quick();
  std::vector<double> shares;
  options.progress = [&](double share) { shares.push_back(share); };
  ASSERT_OK(TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options).status());
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_EQ(shares.back(), 1.0);
  const std::atomic<bool> cancelled{true};
  options.cancelled = &cancelled;
  EXPECT_THAT(TrainDispatch(queries, nullptr, Diluted(pilots, 0.05), options).status(),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST(TrainDispatch, RefusesBadInput) {
  ClusteredQueries source(16, kExpertCount, 0.7, 1);
  const PilotSet pilots = source.Pilots(30);
  const PilotSet empty(16, kExpertCount), other(8, kExpertCount);
  const EvaluateChoice evaluate = Diluted(pilots, 0.05);
  const auto refused = [&](const DispatchQueries& queries, const DispatchTrainingOptions& options,
                           absl::StatusCode code, const char* why) {
    EXPECT_THAT(TrainDispatch(queries, nullptr, evaluate, options).status(), StatusIs(code, HasSubstr(why)));
  };
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  refused({.pilots = nullptr}, Quick(), kInvalid, "training queries: 0");
  refused({.pilots = &empty}, Quick(), kInvalid, "training queries: 0");
  refused({.pilots = &pilots, .groups = {1, 2}}, Quick(), kInvalid, "groups: 2, expected 30");
  refused({.pilots = &pilots, .sets = {1, 2}}, Quick(), kInvalid, "sets: 2, expected 30");
  DispatchTrainingOptions options = Quick();
  options.routers = {"magic"};
  refused({.pilots = &pilots}, options, kInvalid, "router: magic");
  options = Quick();
  options.costs = {1};
  refused({.pilots = &pilots}, options, kInvalid, "costs: 1, expected 6");
  options = Quick();
  options.fold_count = 1;
  refused({.pilots = &pilots}, options, kInvalid, "fold_count: 1");
  const PilotSet single = pilots.Subset({0});
  refused({.pilots = &single}, Quick(), absl::StatusCode::kFailedPrecondition, "1 in one group");
  const DispatchQueries validation{.pilots = &other};
  const DispatchQueries training{.pilots = &pilots};
  EXPECT_THAT(TrainDispatch(training, &validation, evaluate, Quick()).status(),
              StatusIs(kInvalid, HasSubstr("validation queries: 0")));
}

}  // namespace
}  // namespace trivium::routing
