// SPDX-License-Identifier: Apache-2.0
// Training the dispatch: judged queries become pilots with every expert's utility; routing/expert/ does the
// learning.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/str_format.h"
#include "api/guard_training.h"
#include "api/held_out_readings.h"
#include "api/keys.h"
#include "api/route_stability.h"
#include "api/store_facts.h"
#include "api/store_impl.h"
#include "api/training_side.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/dispatch_trainer.h"
#include "storage/file_system.h"

namespace trivium {
namespace {

// The space that routes: the first for which every query has a vector or can be encoded.
absl::StatusOr<std::uint32_t> ChooseRouterSpace(const StoreState& state, const EncoderSet& encoders,
                                                const std::vector<const std::vector<QuerySet>*>& sides) {
  for (const SpaceRecord& space : state.schema.spaces) {
    bool usable = true;
    for (const std::vector<QuerySet>* side : sides) {
      for (const QuerySet& set : *side) {
        bool given = !set.texts.empty() && encoders.Find(space.encoder) != nullptr;
        for (const SpaceVectors& vectors : set.vectors) {
          TRIVIUM_ASSIGN_OR_RETURN(const SpaceRecord* named, ResolveSpace(state.schema, vectors.space));
          given = given || named->id == space.id;
        }
        usable = usable && given;
      }
    }
    if (usable) return space.id;
  }
  return absl::InvalidArgumentError(
      "queries: vectors in no common space and no encoder for one, expected either of them");
}

DispatchReport Describe(const routing::DispatchReport& trained) {
  DispatchReport report;
  report.validation_queries = trained.evaluated_count;
  const routing::DispatchSettings& best = trained.settings[trained.chosen];
  report.router = best.router;
  report.enabled = trained.accepted;
  report.reason = trained.reason;
  report.top_p = best.policy.top_p;
  report.max_experts = static_cast<int>(best.policy.max_experts);
  report.prior_weight = best.answer.prior_weight;
  report.lexical_weight = trained.lexical_weight;
  if (trained.accepted) report.lexical_weight = MeanLexicalWeight(best);
  report.second_look = DescribeSecondLook(best);
  report.memory = DescribeMemory(best, nullptr);
  if (best.answer.mixture) report.mixture = {best.answer.mixture->own, best.answer.mixture->plain};
  for (const routing::AnswerQuality& answer : trained.answers) {
    report.rows.push_back(
        {answer.name, answer.quality, answer.experts_per_query, std::numeric_limits<double>::quiet_NaN()});
    if (answer.name != best.router) continue;
    report.gain = answer.gain;
    report.gain_low = answer.gain_low;
    report.gain_high = answer.gain_high;
  }
  return report;
}

}  // namespace

absl::StatusOr<DispatchReport> Store::TrainDispatch(const TrainDispatchOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  const std::lock_guard<std::mutex> writing(impl_->writer);
  TRIVIUM_ASSIGN_OR_RETURN(std::shared_ptr<StoreState> state, impl_->BeginWrite());
  if (std::all_of(state->schema.experts.begin(), state->schema.experts.end(),
                  [](const ExpertRecord& expert) { return expert.kind == ExpertKind::kLexical; })) {
    return absl::FailedPreconditionError(
        "train dispatch: the store has no dense experts, expected at least one");
  }
  if (options.label_free) return impl_->TrainLabelFree(options, std::move(state));
  SearchOptions search;
  search.cancelled = options.cancelled;
  TRIVIUM_ASSIGN_OR_RETURN(Searcher searcher, impl_->MakeSearcher(state, search));
  TRIVIUM_ASSIGN_OR_RETURN(const HeldOutReadings held_out, LoadHeldOut(*state));
  searcher.planner().ReadHeldOut(&held_out);
  std::vector<QuerySet> background(options.background.size() > 0 ? 1 : 0);
  if (!background.empty()) {
    background[0].texts = options.background.texts;
    background[0].vectors = options.background.vectors;
    const routing::GuardTrainingOptions guarding{.acceptance = options.guard_acceptance};
    TRIVIUM_RETURN_IF_ERROR(guarding.Validate());  // before the work begins
  }
  TRIVIUM_ASSIGN_OR_RETURN(
      const std::uint32_t space,
      ChooseRouterSpace(*state, impl_->encoders, {&options.train, &options.validation, &background}));
  const int threads = base::ResolveThreadCount(options.threads);
  TRIVIUM_ASSIGN_OR_RETURN(routing::ExpertFacts facts, GatherFacts(*state, &impl_->encoders, space, threads));
  TrainingSide training(&searcher, &impl_->encoders), validation(&searcher, &impl_->encoders);
  TRIVIUM_RETURN_IF_ERROR(training.Load(options.train, space));
  TRIVIUM_RETURN_IF_ERROR(validation.Load(options.validation, space));
  if (training.size() == 0) {
    return absl::InvalidArgumentError("train dispatch: no query with a positive judgement, expected some");
  }
  std::vector<std::uint32_t> comparable;
  if (WantsAgreement(options.routers)) comparable = ComparableExperts(*state);
  for (TrainingSide* side : {&training, &validation}) {
    TRIVIUM_RETURN_IF_ERROR(side->MeasureUtilities(comparable, threads, options.progress, options.cancelled));
  }
  facts.agreement = training.TakeAgreement();
  for (std::size_t i = 0; i < validation.agreement().size(); ++i) {
    TRIVIUM_RETURN_IF_ERROR(facts.agreement.Add(validation.agreement().pilot(i)));
  }

  routing::DispatchTrainingOptions learning;
  learning.routers = options.routers;
  learning.facts = &facts;
  learning.seed = options.seed;
  learning.thread_count = threads;
  learning.cancelled = options.cancelled;
  learning.costs = state->costs;
  learning.lexical = state->lexical_experts;
  std::set<std::uint32_t> spaces;
  for (const ExpertView& expert : state->experts) {
    if (!expert.lexical) spaces.insert(expert.space);
  }
  if (!training.has_texts() || !validation.has_texts()) learning.lexical.clear();
  if (!learning.lexical.empty()) learning.joining = searcher.planner().joining();
  learning.tune_prior = spaces.size() == 1;
  learning.tune_mixture = std::any_of(spaces.begin(), spaces.end(), [&](std::uint32_t each) {
    return searcher.planner().reader().CanMix(each);
  });
  learning.tune_memory = learning.tune_prior && state->schema.SpaceById(space)->metric == Metric::kCosine &&
                         spaces.contains(space);
  if (learning.tune_memory)
    TRIVIUM_RETURN_IF_ERROR((validation.size() > 0 ? validation : training).Remember(training));
  learning.first_scores = [&](std::size_t query, const routing::Dispatch& choice,
                              const routing::AnswerSettings& settings, absl::Span<float> scores) {
    (validation.size() > 0 ? validation : training).FirstScores(query, choice, settings, scores);
  };
  if (options.progress) {
    learning.progress = [&](double share) {
      options.progress("train", static_cast<std::uint64_t>(share * 100), 100);
    };
  }
  const routing::DispatchQueries training_view = training.View(threads);
  const routing::DispatchQueries validation_view = validation.View(threads);
  absl::StatusOr<routing::TrainedDispatch> learned = routing::TrainDispatch(
      training_view, validation.size() > 0 ? &validation_view : nullptr,
      [&](std::size_t query, const routing::Dispatch& choice, const routing::AnswerSettings& settings) {
        return (validation.size() > 0 ? validation : training).EvaluateChoice(query, choice, settings);
      },
      learning);
  if (absl::IsFailedPrecondition(learned.status())) {  // the queries cannot be split: bad input here
    return absl::InvalidArgumentError(learned.status().message());
  }
  TRIVIUM_RETURN_IF_ERROR(learned.status());
  const routing::TrainedDispatch trained = *std::move(learned);

  TRIVIUM_RETURN_IF_ERROR(training.failure());
  TRIVIUM_RETURN_IF_ERROR(validation.failure());
  if (options.cancelled != nullptr && options.cancelled->load()) {
    return absl::CancelledError("train dispatch: cancelled by the caller");
  }

  std::optional<LearnedGuard> guard;
  if (!background.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(guard,
                             LearnGuard(*state, &impl_->encoders, options, space, training_view, threads));
  }

  std::optional<routing::AnswerMemory> memory;
  if (std::any_of(
          trained.report.settings.begin(), trained.report.settings.end(),
          [](const routing::DispatchSettings& settings) { return settings.answer.memory.has_value(); })) {
    TRIVIUM_ASSIGN_OR_RETURN(memory, TrainingSide::RememberAnswers({&training, &validation},
                                                                   routing::RouterOptions().graph_threshold));
  }

  DispatchReport report = Describe(trained.report);
  report.queries = training.size() + validation.size();
  if (report.memory) report.memory->queries = report.queries;
  report.unknown_judgements = training.unknown_judgements() + validation.unknown_judgements();
  std::vector<const routing::PilotSet*> pilots = {&training.pilots(), &validation.pilots()};
  if (guard) {
    report.guard = guard->report;
    pilots.push_back(&guard->background);
  }
  report.first_expert_changed = FirstExpertChanged(*state, trained, space, training.pilots());
  TRIVIUM_RETURN_IF_ERROR(impl_->SaveDispatch(trained, guard ? &*guard : nullptr, memory ? &*memory : nullptr,
                                              pilots, space, state));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

absl::Status Store::Impl::SaveDispatch(const routing::TrainedDispatch& trained, const LearnedGuard* guard,
                                       const routing::AnswerMemory* memory,
                                       const std::vector<const routing::PilotSet*>& pilots,
                                       std::uint32_t space, std::shared_ptr<StoreState> state) {
  storage::WriteBatch batch;
  DispatchRecord record;
  record.enabled = trained.report.accepted;
  record.router = trained.report.settings[trained.report.chosen].router;
  record.reason = trained.report.reason;
  record.lexical_weight = trained.report.lexical_weight;
  record.space = space;
  for (const ExpertView& expert : state->experts) record.expert_ids.push_back(expert.id);
  const std::uint32_t old_space = state->schema.dispatch ? state->schema.dispatch->space : space;
  std::vector<std::string> obsolete;
  if (state->schema.dispatch) {
    for (const RouterRecord& old : state->schema.dispatch->routers) {
      batch.Delete(storage::Table::kManifest, RouterKey(old.settings.router));
    }
    batch.Delete(storage::Table::kManifest, RouterKey(kGuardName));
    batch.Delete(storage::Table::kManifest, RouterKey(kMemoryName));
    obsolete = state->schema.dispatch->files();
  }
  std::vector<Dispatcher::Entry> entries;
  for (std::size_t i = 0; i < trained.routers.size(); ++i) {
    const routing::ExpertRouter& router = *trained.routers[i];
    RouterRecord saved{trained.report.settings[i], ""};
    if (router.NeedsIndex()) {
      saved.index_file = absl::StrFormat("%06d.pilots", state->schema.next_file++);
      const std::string file = SegmentsDirectory() + "/" + saved.index_file;
      TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(file));  // left by a training that failed
      TRIVIUM_RETURN_IF_ERROR(router.SaveIndex(file));
    }
    const std::string bytes = router.Save();
    // Read back before anything names it, so that what becomes durable can be opened.
    TRIVIUM_ASSIGN_OR_RETURN(
        Dispatcher::Entry entry,
        Dispatcher::LoadEntry(saved.settings, bytes, SegmentsDirectory() + "/" + saved.index_file));
    entries.push_back(std::move(entry));
    batch.Put(storage::Table::kManifest, RouterKey(router.name()), bytes);
    record.routers.push_back(std::move(saved));
  }
  std::shared_ptr<const routing::QueryGuard> loaded_guard;
  if (guard != nullptr) {
    TRIVIUM_ASSIGN_OR_RETURN(loaded_guard,
                             SaveGuard(*guard, SegmentsDirectory(), &state->schema, &record, &batch));
  }
  std::shared_ptr<const routing::AnswerMemory> loaded_memory;
  if (memory != nullptr) {
    record.memory_file = absl::StrFormat("%06d.pilots", state->schema.next_file++);
    const std::string file = SegmentsDirectory() + "/" + record.memory_file;
    TRIVIUM_RETURN_IF_ERROR(storage::RemoveFile(file));  // left by a training that failed
    TRIVIUM_RETURN_IF_ERROR(memory->SaveIndex(file));
    const std::string bytes = memory->Save();
    TRIVIUM_ASSIGN_OR_RETURN(loaded_memory, Dispatcher::LoadMemory(bytes, file));
    batch.Put(storage::Table::kManifest, RouterKey(kMemoryName), bytes);
  }
  batch.DeletePrefix(storage::Table::kPilots, kTrainedPilotPrefix);
  for (const routing::PilotSet* set : pilots) {
    for (std::size_t i = 0; i < set->size(); ++i) {
      batch.Put(storage::Table::kPilots, U64Key(record.pilots++), set->EncodePilot(i, record.expert_ids));
    }
  }
  state->schema.dispatch = std::move(record);
  auto dispatcher = std::make_shared<Dispatcher>(space, std::move(entries));
  dispatcher->SetGuard(std::move(loaded_guard));
  dispatcher->SetMemory(std::move(loaded_memory));
  state->dispatcher = std::move(dispatcher);
  TRIVIUM_RETURN_IF_ERROR(CarryFeedback(old_space, state.get(), &batch));
  TRIVIUM_RETURN_IF_ERROR(Commit(std::move(state), std::move(batch), true));
  return RemoveObsolete(obsolete);
}

}  // namespace trivium
