// SPDX-License-Identifier: Apache-2.0
#include "api/query_planner.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/route_replay.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "routing/expert/lexical_share.h"
#include "routing/expert/query_guard.h"

namespace trivium {
namespace {

constexpr float kLeastHeard = 0.01f;  // of the probability, by which an expert may yet be asked

}  // namespace

absl::StatusOr<QueryPlanner> QueryPlanner::Create(std::shared_ptr<const StoreState> state,
                                                  const SearchOptions& options) {
  QueryPlanner planner;
  planner.state_ = std::move(state);
  planner.options_ = options;
  planner.reader_ = QueryReader(planner.state_.get(), options.adapters);
  TRIVIUM_ASSIGN_OR_RETURN(planner.scope_, SearchScope::Create(*planner.state_, options));
  for (const std::string& name : options.experts.names) {
    TRIVIUM_ASSIGN_OR_RETURN(planner.named_.emplace_back(), FindExpert(*planner.state_, "expert", name));
  }
  TRIVIUM_RETURN_IF_ERROR(planner.CheckAllowed(planner.named_));
  if (options.route) {
    TRIVIUM_ASSIGN_OR_RETURN(planner.replayed_, PlanOfRoute(*planner.state_, *options.route));
    TRIVIUM_RETURN_IF_ERROR(planner.CheckAllowed(planner.replayed_->dispatch.chosen));
  }
  planner.FindChoosable();
  if (!options.router.empty() && (planner.state_->dispatcher == nullptr ||
                                  planner.state_->dispatcher->Find(options.router) == nullptr)) {
    return absl::NotFoundError(
        absl::StrFormat("router: '%s', expected one that was trained", options.router.substr(0, 80)));
  }
  return planner;
}

void QueryPlanner::FindChoosable() {
  const std::size_t count = state_->experts.size();
  choosable_ = base::Bitmap(count);
  for (const bool quarantined_too : {false, true}) {  // in quarantine, only where nobody else is allowed
    for (std::size_t e = 0; e < count; ++e) {
      const bool sound = !state_->sound || state_->sound->Test(e);
      if (scope_.AllowsExpert(e) && (sound || quarantined_too)) choosable_.Set(e);
    }
    if (choosable_.CountSet() > 0) break;
  }
  dense_ = choosable_;
  std::vector<std::uint32_t> lexical;
  for (const std::uint32_t e : state_->lexical_experts) {
    if (choosable_.Test(e)) lexical.push_back(e);
    dense_.Clear(e);
  }
  for (std::size_t i = 0; i < lexical.size(); ++i) {
    if (!state_->TextsAreCovered(lexical, i)) joining_.push_back(lexical[i]);
  }
}

absl::Status QueryPlanner::Choose(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const {
  TRIVIUM_RETURN_IF_ERROR(ChooseAmongAll(query, scratch, plan));
  return query->text().empty() ? LeaveOutLexical(plan) : absl::OkStatus();
}

absl::Status QueryPlanner::CheckAllowed(absl::Span<const std::uint32_t> experts) const {
  for (const std::uint32_t expert : experts) {
    if (scope_.AllowsExpert(expert)) continue;
    return absl::InvalidArgumentError(
        absl::StrFormat("expert: '%s', expected one of those allowed%s", state_->experts[expert].name,
                        options_.partitions.empty() ? "" : ", which hold a partition allowed"));
  }
  return absl::OkStatus();
}

absl::Status QueryPlanner::ChooseAmongAll(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const {
  if (replayed_) return PlanReplayed(query, scratch, plan);
  if (options_.experts.mode == ExpertSelection::Mode::kNamed) {
    *plan = PlanNamed(named_);
    return absl::OkStatus();
  }
  if (options_.experts.mode == ExpertSelection::Mode::kAll) {
    *plan = PlanAll();
    return absl::OkStatus();
  }
  TRIVIUM_ASSIGN_OR_RETURN(const std::optional<double> in_domain, AskGuard(query, scratch));
  const bool rejected = in_domain && !state_->dispatcher->guard()->Accepts(*in_domain);
  TRIVIUM_RETURN_IF_ERROR(rejected ? PlanRejected(query, plan) : PlanAuto(query, scratch, plan));
  plan->in_domain = in_domain;
  plan->rejected = rejected;
  return absl::OkStatus();
}

absl::Status QueryPlanner::PlanAuto(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const {
  if (const Dispatcher::Entry* entry = RouterInUse(*query)) {
    *plan = Plan();
    plan->mode = "auto";
    TRIVIUM_RETURN_IF_ERROR(PlanRouted(*entry, query, scratch, plan));
    if (!plan->dispatch.fell_back) return absl::OkStatus();
  }
  return PlanUnrouted(query, plan);
}

Plan QueryPlanner::PlanSome(std::vector<std::uint32_t> experts) const {
  Plan plan;
  plan.mode = "all";
  plan.plain = true;
  // The narrowest expert first: it lends its name to the hits of a vector set that several share.
  std::stable_sort(experts.begin(), experts.end(), [&](std::uint32_t a, std::uint32_t b) {
    const ExpertView &x = state_->experts[a], &y = state_->experts[b];
    return std::make_tuple(x.every_partition, x.adapter != nullptr) <
           std::make_tuple(y.every_partition, y.adapter != nullptr);
  });
  routing::RequestExperts(state_->experts.size(), experts, &plan.dispatch);
  for (std::size_t e = 0; scope_.experts() != nullptr && e < state_->experts.size(); ++e) {
    if (!scope_.AllowsExpert(e)) plan.dispatch.experts[e].reason = routing::ChoiceReason::kNotAllowed;
  }
  return plan;
}

Plan QueryPlanner::PlanAll() const {
  std::vector<std::uint32_t> experts;
  experts.reserve(state_->experts.size());
  for (std::uint32_t e = 0; e < state_->experts.size(); ++e) {
    if (scope_.AllowsExpert(e)) experts.push_back(e);
  }
  return PlanSome(std::move(experts));
}

// By index. Nothing is paid for lexical experts that cannot answer, unless there are no others.
std::vector<std::uint32_t> QueryPlanner::AffordableExperts(const QueryVectors& query) const {
  std::vector<std::uint32_t> experts;
  for (const bool lexical_too : {!query.text().empty(), true}) {
    for (const std::uint32_t e : spending_->order) {
      if (choosable_.Test(e) && (lexical_too || !state_->experts[e].lexical)) experts.push_back(e);
    }
    if (!experts.empty()) break;
  }
  experts.resize(routing::AffordableCount(experts, spending_->prices, spending_->limit));
  std::sort(experts.begin(), experts.end());
  return experts;
}

Plan QueryPlanner::PlanUnread(const QueryVectors& query) const {
  Plan plan = spending_ ? PlanSome(AffordableExperts(query)) : PlanAll();
  plan.mode = "auto";
  if (state_->schema.dispatch) plan.lexical_weight = state_->schema.dispatch->lexical_weight;
  LeaveOutQuarantined(&plan.dispatch);
  if (!spending_) return plan;
  for (routing::ExpertChoice& choice : plan.dispatch.experts) {
    if (choice.chosen) choice.reason = routing::ChoiceReason::kWithinLimit;
    if (choice.reason == routing::ChoiceReason::kNotRequested) {
      choice.reason = routing::ChoiceReason::kOverLimit;
    }
  }
  return plan;
}

absl::Status QueryPlanner::PlanUnrouted(QueryVectors* query, Plan* plan) const {
  *plan = PlanUnread(*query);
  return ReadAsAllDomains(query, plan);
}

absl::Status QueryPlanner::ReadAsAllDomains(QueryVectors* query, Plan* plan) const {
  for (const std::uint32_t chosen : plan->dispatch.chosen) {
    const ExpertView& expert = state_->experts[chosen];
    if (expert.sets.empty() || !reader_.AdaptsAll(expert.space) || plan->readings.count(expert.space) > 0)
      continue;
    TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(expert.space));
    TRIVIUM_RETURN_IF_ERROR(reader_.ReadAsAll(expert.space, vector, &plan->readings[expert.space]));
  }
  return absl::OkStatus();
}

// As the router of the route remembers now.
absl::Status QueryPlanner::RecallReplayed(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const {
  const Dispatcher::Entry* entry =
      state_->dispatcher == nullptr ? nullptr : state_->dispatcher->Find(plan->router);
  if (entry == nullptr || !entry->settings.answer.memory) return absl::OkStatus();
  TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(state_->dispatcher->space()));
  Recall(entry->settings, vector, scratch, plan);
  return absl::OkStatus();
}

absl::Status QueryPlanner::PlanReplayed(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const {
  *plan = *replayed_;
  plan->mixture.reset();  // until readings are mixed
  if (options_.memory && options_.route->remembered > 0) {
    TRIVIUM_RETURN_IF_ERROR(RecallReplayed(query, scratch, plan));
  }
  if (replayed_->mixture) return MixReadings(*replayed_->mixture, query, plan);
  const bool read_as_all = plan->plain && options_.route->reading == "adapted";
  return read_as_all ? ReadAsAllDomains(query, plan) : absl::OkStatus();
}

Plan QueryPlanner::PlanNamed(absl::Span<const std::uint32_t> experts) const {
  Plan plan;
  plan.mode = "named";
  routing::RequestExperts(state_->experts.size(), experts, &plan.dispatch);
  return plan;
}

absl::Status QueryPlanner::PlanRejected(QueryVectors* query, Plan* plan) const {
  *plan = PlanUnread(*query);
  if (options_.on_reject == OnReject::kAll) return ReadAsAllDomains(query, plan);
  if (options_.on_reject == OnReject::kNothing) {
    routing::RequestExperts(state_->experts.size(), {}, &plan->dispatch);
  }
  return absl::OkStatus();
}

absl::Status QueryPlanner::PlanRouted(const Dispatcher::Entry& entry, QueryVectors* query,
                                      PlannerScratch* scratch, Plan* plan) const {
  TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(state_->dispatcher->space()));
  const SpaceRecord& space = *state_->schema.SpaceById(state_->dispatcher->space());
  if (space.metric != Metric::kCosine) {  // routers read directions
    UnitCopy(vector, space.dimension, &scratch->direction);
    vector = scratch->direction.data();
  }
  const std::size_t columns = entry.router->expert_count();
  scratch->predicted.resize(columns);
  scratch->errors.resize(columns);
  const std::size_t dimension = entry.router->dimension();
  entry.router->Predict(absl::MakeConstSpan(vector, dimension), &scratch->router,
                        absl::MakeSpan(scratch->predicted), absl::MakeSpan(scratch->errors));
  const std::size_t count = state_->experts.size();
  scratch->utility.assign(count, std::numeric_limits<float>::quiet_NaN());
  scratch->uncertainty.assign(count, std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < count; ++i) {
    const int column = state_->columns[i];
    if (column < 0) continue;
    scratch->utility[i] = scratch->predicted[column];
    scratch->uncertainty[i] = scratch->errors[column];
  }
  if (state_->feedback != nullptr && entry.settings.router == state_->schema.dispatch->router) {
    CorrectByFeedback(scratch);
  }
  plan->router = entry.settings.router;
  plan->prior_weight = entry.settings.answer.prior_weight;
  if (options_.second_look && entry.settings.answer.second_look) {
    plan->second_look = &*entry.settings.answer.second_look;
    plan->may_widen = !options_.top_p && !options_.max_experts && !spending_;
  }
  ChooseByUtility(entry, *query, scratch, plan);
  if (options_.memory && !plan->dispatch.fell_back) Recall(entry.settings, vector, scratch, plan);
  const std::optional<routing::QueryMixture>& mixture = entry.settings.answer.mixture;
  return mixture && !plan->dispatch.fell_back ? MixReadings(*mixture, query, plan) : absl::OkStatus();
}

// Only where an expert that may be asked has a weight: it takes a search of the earlier queries.
void QueryPlanner::Recall(const routing::DispatchSettings& settings, const float* vector,
                          PlannerScratch* scratch, Plan* plan) const {
  if (!settings.answer.memory) return;
  const std::vector<float>& weights = settings.answer.memory->weights;
  const auto weight_of = [&](std::size_t e) {
    const int column = state_->columns[e];
    return column < 0 ? 0.0f : weights[static_cast<std::size_t>(column)];
  };
  bool is_heard = false;
  for (std::size_t e = 0; e < state_->experts.size() && !is_heard; ++e) {
    const routing::ExpertChoice& choice = plan->dispatch.experts[e];
    is_heard = weight_of(e) > 0 && (choice.chosen || choice.probability >= kLeastHeard);
  }
  if (!is_heard) return;
  state_->dispatcher->memory()->Recall(vector, settings.answer.memory->threshold, &scratch->memory,
                                       &plan->remembered);
  if (plan->remembered.empty()) return;
  plan->memory_weights.resize(state_->experts.size());
  for (std::size_t e = 0; e < state_->experts.size(); ++e) plan->memory_weights[e] = weight_of(e);
}

absl::Status QueryPlanner::Widen(const QueryVectors& query, PlannerScratch* scratch, Plan* plan) const {
  const routing::DispatchSettings& settings = state_->dispatcher->Find(plan->router)->settings;
  scratch->utility.clear();
  scratch->uncertainty.clear();
  for (const routing::ExpertChoice& choice : plan->dispatch.experts) {
    scratch->utility.push_back(choice.utility);
    scratch->uncertainty.push_back(choice.uncertainty);
  }
  ChooseBy(settings, routing::Wider(settings.policy, *plan->second_look), query, scratch->utility,
           scratch->uncertainty, state_->costs, plan);
  plan->may_widen = false;
  plan->widened = true;
  return query.text().empty() ? LeaveOutLexical(plan) : absl::OkStatus();
}

void QueryPlanner::ChooseByUtility(const Dispatcher::Entry& entry, const QueryVectors& query,
                                   PlannerScratch* scratch, Plan* plan) const {
  routing::DispatchOptions policy = entry.settings.policy;
  if (options_.top_p) policy.top_p = static_cast<float>(*options_.top_p);
  if (options_.max_experts) policy.max_experts = static_cast<std::size_t>(*options_.max_experts);
  ChooseBy(entry.settings, policy, query, scratch->utility, scratch->uncertainty, state_->costs, plan);
}

void QueryPlanner::ChooseBy(const routing::DispatchSettings& settings, const routing::DispatchOptions& policy,
                            const QueryVectors& query, absl::Span<const float> utility,
                            absl::Span<const float> uncertainty, absl::Span<const float> costs,
                            Plan* plan) const {
  routing::Dispatch* dispatch = &plan->dispatch;
  const std::vector<float>& weights = settings.answer.lexical_weights;
  const bool text = !query.text().empty();
  // With a limit, what a lexical expert could not answer must not be paid for.
  const base::Bitmap& askable = weights.empty() && (text || !spending_) ? choosable_ : dense_;
  routing::ChooseExperts(utility, uncertainty, costs, &askable, policy, dispatch);
  float share = 0;
  if (!weights.empty()) {
    share = options_.lexical_weight ? static_cast<float>(*options_.lexical_weight)
                                    : routing::LexicalShare(weights, dispatch->experts, state_->columns);
    plan->lexical_weight = share;
    for (const std::uint32_t e : state_->lexical_experts) {
      if (choosable_.Test(e)) dispatch->experts[e].reason = routing::ChoiceReason::kNoShare;
    }
  }
  bool joins = share > 0;
  if (spending_ && !dispatch->fell_back) joins = SpendWithinLimit(query, joins, askable, dispatch);
  if (joins) routing::JoinExperts(joining_, share, dispatch);
  LeaveOutQuarantined(dispatch);
}

// What a limit pays for comes in one order, so that a higher one only adds: the most probable expert, those
// that join, the others. Returns whether the joining ones are paid for.
bool QueryPlanner::SpendWithinLimit(const QueryVectors& query, bool joins, const base::Bitmap& askable,
                                    routing::Dispatch* dispatch) const {
  double price = 0;
  if (!query.text().empty()) {
    for (const std::uint32_t e : joining_) price += joins ? spending_->prices[e] : 0.0f;
  }
  routing::ChooseAffordable(spending_->prices, -1, &askable, dispatch);
  const double first = dispatch->chosen.empty() ? 0.0 : spending_->prices[dispatch->chosen.front()];
  if (first + price > spending_->limit && price > 0) return false;
  routing::ChooseAffordable(spending_->prices, spending_->limit - price, &askable, dispatch);
  return joins;
}

// What users made of answers, against the router's opinion.
void QueryPlanner::CorrectByFeedback(PlannerScratch* scratch) const {
  const routing::FeedbackCorrection& correction = *state_->feedback->correction();
  scratch->predicted.assign(correction.expert_count(), std::numeric_limits<float>::quiet_NaN());
  scratch->errors.assign(correction.expert_count(), std::numeric_limits<float>::quiet_NaN());
  for (std::size_t i = 0; i < state_->experts.size(); ++i) {
    const int column = state_->experts[i].feedback_column;
    if (column < 0) continue;
    scratch->predicted[column] = scratch->utility[i];
    scratch->errors[column] = scratch->uncertainty[i];
  }
  correction.Correct(&scratch->feedback, absl::MakeSpan(scratch->predicted), absl::MakeSpan(scratch->errors));
  for (std::size_t i = 0; i < state_->experts.size(); ++i) {
    const int column = state_->experts[i].feedback_column;
    if (column < 0) continue;
    scratch->utility[i] = scratch->predicted[column];
    scratch->uncertainty[i] = scratch->errors[column];
  }
}

// "auto" does not ask experts in quarantine, unless there are no others.
void QueryPlanner::LeaveOutQuarantined(routing::Dispatch* dispatch) const {
  if (!state_->sound) return;
  for (std::size_t e = 0; e < dispatch->experts.size(); ++e) {
    if (state_->sound->Test(e) || choosable_.Test(e)) continue;
    dispatch->experts[e].chosen = false;
    dispatch->experts[e].probability = 0;
    dispatch->experts[e].reason = routing::ChoiceReason::kQuarantined;
  }
  std::erase_if(dispatch->chosen, [&](std::uint32_t e) { return !choosable_.Test(e); });
  for (const std::uint32_t e : dispatch->chosen) {
    if (dispatch->experts[e].reason != routing::ChoiceReason::kRequested) continue;
    dispatch->experts[e].probability = 1.0f / static_cast<float>(dispatch->chosen.size());
  }
}

absl::Status QueryPlanner::MixReadings(const routing::QueryMixture& mixture, QueryVectors* query,
                                       Plan* plan) const {
  for (const std::uint32_t chosen : plan->dispatch.chosen) {
    const ExpertView& expert = state_->experts[chosen];
    if (expert.sets.empty() || !reader_.CanMix(expert.space) || plan->readings.count(expert.space) > 0)
      continue;
    TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(expert.space));
    TRIVIUM_RETURN_IF_ERROR(
        reader_.Mix(expert.space, plan->dispatch.experts, mixture, vector, &plan->readings[expert.space]));
    plan->mixture = mixture;
  }
  return absl::OkStatus();
}

// Null where everybody is to be asked.
const Dispatcher::Entry* QueryPlanner::RouterInUse(const QueryVectors& query) const {
  if (state_->dispatcher == nullptr) return nullptr;
  const DispatchRecord& record = *state_->schema.dispatch;
  if (options_.router.empty() && !record.enabled) return nullptr;
  const std::uint32_t space = state_->dispatcher->space();
  if (!query.Has(space) && !query.CanEncode(space)) return nullptr;
  return state_->dispatcher->Find(options_.router.empty() ? record.router : options_.router);
}

// None where the store has no guard that may reject, or the query no vector for it.
absl::StatusOr<std::optional<double>> QueryPlanner::AskGuard(QueryVectors* query,
                                                             PlannerScratch* scratch) const {
  if (state_->dispatcher == nullptr || state_->dispatcher->guard() == nullptr) return std::nullopt;
  const std::uint32_t space = state_->dispatcher->space();
  const std::optional<GuardRecord>& record = state_->schema.dispatch->guard;
  if (!record->report.enabled || (!query->Has(space) && !query->CanEncode(space))) return std::nullopt;
  TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(space));
  const SpaceRecord& routing_space = *state_->schema.SpaceById(space);
  if (routing_space.metric != Metric::kCosine) {  // the guard reads directions, as routers do
    UnitCopy(vector, routing_space.dimension, &scratch->direction);
    vector = scratch->direction.data();
  }
  return state_->dispatcher->guard()->Score(absl::MakeConstSpan(vector, routing_space.dimension),
                                            &scratch->router);
}

// Takes lexical experts out of a plan for a query without a text. kInvalidArgument where one was named or
// replayed, or nobody is left.
absl::Status QueryPlanner::LeaveOutLexical(Plan* plan) const {
  std::vector<std::uint32_t>& chosen = plan->dispatch.chosen;
  const auto is_lexical = [&](std::uint32_t e) { return state_->experts[e].lexical; };
  const auto first = std::find_if(chosen.begin(), chosen.end(), is_lexical);
  if (first == chosen.end()) return absl::OkStatus();
  if (plan->mode == "named" || replayed_ || std::all_of(chosen.begin(), chosen.end(), is_lexical)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "query: no text, expected one because expert '%s' is lexical", state_->experts[*first].name));
  }
  for (const std::uint32_t e : chosen) {
    if (!is_lexical(e)) continue;
    plan->dispatch.experts[e].chosen = false;
    plan->dispatch.experts[e].reason = routing::ChoiceReason::kNoText;
  }
  std::erase_if(chosen, is_lexical);
  return absl::OkStatus();
}

bool QueryPlanner::AsksOnlyLexical() const {
  const std::vector<std::uint32_t>& asked = replayed_ ? replayed_->dispatch.chosen : named_;
  return !asked.empty() &&
         std::all_of(asked.begin(), asked.end(), [&](std::uint32_t e) { return state_->experts[e].lexical; });
}

}  // namespace trivium
