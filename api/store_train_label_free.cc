// SPDX-License-Identifier: Apache-2.0
// Dispatch without judged queries: label-free routers learn from what the store holds, and from what its
// experts answer to queries without judgements. Nothing can be compared, so none of them becomes the default.
#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "api/held_out_readings.h"
#include "api/store_facts.h"
#include "api/store_impl.h"
#include "api/training_side.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/dispatch_candidates.h"

namespace trivium {
namespace {

constexpr char kReason[] =
    "learned without judged queries, so nothing was compared: asking all stays the default";

absl::Status CheckNothingJudged(const TrainDispatchOptions& options) {
  std::size_t judged = options.validation.size();
  for (const QuerySet& set : options.train) {
    judged += std::any_of(set.judgements.begin(), set.judgements.end(),
                          [](const std::vector<Judgement>& judgements) { return !judgements.empty(); });
  }
  if (judged > 0 || options.background.size() > 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "train dispatch, label_free: %d sets of judged queries and %d background queries, expected none",
        judged, options.background.size()));
  }
  for (const QuerySet& set : options.train) {
    if (CountQueries(set) > 0) continue;
    return absl::InvalidArgumentError(absl::StrFormat(
        "train dispatch, label_free: queries '%s': 0, expected at least one, or no set", set.name));
  }
  return absl::OkStatus();
}

// The space of the first dense expert, or where the queries cannot be read in it the first where they can.
absl::StatusOr<std::uint32_t> ChooseSpace(const StoreState& state, const EncoderSet& encoders,
                                          const std::vector<QuerySet>& queries) {
  const std::uint32_t usual =
      std::find_if(state.experts.begin(), state.experts.end(), [](const ExpertView& expert) {
        return !expert.lexical;
      })->space;
  std::vector<const SpaceRecord*> spaces = {state.schema.SpaceById(usual)};
  for (const SpaceRecord& space : state.schema.spaces) spaces.push_back(&space);
  for (const SpaceRecord* space : spaces) {
    TRIVIUM_ASSIGN_OR_RETURN(const bool readable, CanReadQueries(state, encoders, *space, queries));
    if (readable) return space->id;
  }
  return absl::InvalidArgumentError(
      "queries: vectors in no common space and no encoder for one, expected either of them");
}

// How much the experts' answers to the queries agree; empty where none can be compared.
absl::StatusOr<routing::PilotSet> MeasureUnjudged(const Searcher& searcher, EncoderSet* encoders,
                                                  const TrainDispatchOptions& options, std::uint32_t space) {
  const std::vector<std::uint32_t> comparable = ComparableExperts(searcher.state());
  if (options.train.empty() || comparable.empty() || !WantsAgreement(options.routers)) {
    return routing::PilotSet();
  }
  std::vector<QuerySet> queries = options.train;
  for (QuerySet& set : queries) set.judgements.resize(CountQueries(set));
  TrainingSide side(&searcher, encoders);
  TRIVIUM_RETURN_IF_ERROR(side.Load(queries, space, /*keep_unjudged=*/true));
  TRIVIUM_RETURN_IF_ERROR(side.MeasureUtilities(comparable, base::ResolveThreadCount(options.threads),
                                                options.progress, options.cancelled));
  return side.TakeAgreement();
}

// Those named, or all that have facts to learn from. `with_queries`: some were given, so the reason says
// where they taught nothing.
absl::StatusOr<routing::TrainedDispatch> LearnFromFacts(const routing::ExpertFacts& facts,
                                                        const std::vector<std::string>& named,
                                                        bool with_queries) {
  std::vector<std::string> names = named;
  if (named.empty()) names.assign(routing::RouterNames().begin(), routing::RouterNames().end());
  routing::TrainedDispatch trained;
  trained.report.reason = kReason;
  std::vector<std::string> lacking;  // what each of the others says
  for (const std::string& name : names) {
    TRIVIUM_ASSIGN_OR_RETURN(std::unique_ptr<routing::ExpertRouter> router, routing::MakeRouter(name));
    if (!router->IsLabelFree() && named.empty()) continue;
    routing::DispatchSettings settings;
    settings.router = name;
    settings.router_options = routing::RouterCandidates(name).front();
    settings.policy = routing::UncomparedPolicy(name);
    const absl::Status learned = router->TrainLabelFree(facts, settings.router_options);
    if (!learned.ok()) {
      if (!named.empty()) return absl::InvalidArgumentError(learned.message());
      lacking.emplace_back(learned.message());
      if (name == "agreement" && with_queries) absl::StrAppend(&trained.report.reason, "; ", lacking.back());
      continue;
    }
    trained.report.settings.push_back(std::move(settings));
    trained.routers.push_back(std::move(router));
  }
  if (trained.routers.empty()) return absl::FailedPreconditionError(absl::StrJoin(lacking, "; "));
  return trained;
}

}  // namespace

absl::StatusOr<DispatchReport> Store::Impl::TrainLabelFree(const TrainDispatchOptions& options,
                                                           std::shared_ptr<StoreState> state) {
  const auto start = std::chrono::steady_clock::now();
  TRIVIUM_RETURN_IF_ERROR(CheckNothingJudged(options));
  TRIVIUM_ASSIGN_OR_RETURN(const std::uint32_t space, ChooseSpace(*state, encoders, options.train));
  TRIVIUM_ASSIGN_OR_RETURN(routing::ExpertFacts facts,
                           GatherFacts(*state, &encoders, space, base::ResolveThreadCount(options.threads)));
  SearchOptions search;
  search.cancelled = options.cancelled;
  TRIVIUM_ASSIGN_OR_RETURN(Searcher searcher, MakeSearcher(state, search));
  TRIVIUM_ASSIGN_OR_RETURN(const HeldOutReadings held_out, LoadHeldOut(*state));
  searcher.planner().ReadHeldOut(&held_out);
  TRIVIUM_ASSIGN_OR_RETURN(facts.agreement, MeasureUnjudged(searcher, &encoders, options, space));
  TRIVIUM_ASSIGN_OR_RETURN(const routing::TrainedDispatch trained,
                           LearnFromFacts(facts, options.routers, !options.train.empty()));
  if (options.cancelled != nullptr && options.cancelled->load()) {
    return absl::CancelledError("train dispatch: cancelled by the caller");
  }
  const routing::DispatchSettings& first = trained.report.settings.front();
  DispatchReport report;
  report.router = first.router;
  report.reason = trained.report.reason;
  report.top_p = first.policy.top_p;
  report.max_experts = static_cast<int>(first.policy.max_experts);
  report.prior_weight = first.answer.prior_weight;
  TRIVIUM_RETURN_IF_ERROR(SaveDispatch(trained, nullptr, nullptr, {}, space, std::move(state)));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace trivium
