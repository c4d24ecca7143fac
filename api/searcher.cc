// SPDX-License-Identifier: Apache-2.0
#include "api/searcher.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "absl/strings/str_format.h"
#include "api/vector_rules.h"
#include "base/status_macros.h"
#include "routing/expert/query_guard.h"

namespace trivium {
namespace {

// A prior is at least beta * log(this), so that an improbable expert's hits stay comparable.
constexpr float kSmallestProbability = 1e-6f;
// Hits of each expert that take part in a fusion by rank: with fewer, a document low in two lists is missed.
constexpr std::size_t kRankFusionDepth = 100;
// Bounds of what RunMany does at once: queries, and memory for their vectors and what is found for them.
constexpr std::size_t kMostQueriesAtOnce = 64;
constexpr std::size_t kBytesAtOnce = std::size_t{16} << 20;

double MicrosSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

absl::StatusOr<Searcher> Searcher::Create(std::shared_ptr<const StoreState> state,
                                          const SearchOptions& options,
                                          std::shared_ptr<const base::Bitmap> filter_documents) {
  Searcher searcher;
  searcher.state_ = std::move(state);
  searcher.options_ = options;
  searcher.reader_ = QueryReader(searcher.state_.get(), options.adapters);
  const std::vector<ExpertView>& experts = searcher.state_->experts;
  for (const std::string& name : options.experts.names) {
    const auto found = std::find_if(experts.begin(), experts.end(),
                                    [&](const ExpertView& expert) { return expert.name == name; });
    if (found == experts.end()) {
      return absl::NotFoundError(absl::StrFormat("expert: '%s', expected one of the store's %d",
                                                 name.substr(0, 80), experts.size()));
    }
    searcher.named_.push_back(static_cast<std::uint32_t>(found - experts.begin()));
  }
  if (!options.router.empty() && (searcher.state_->dispatcher == nullptr ||
                                  searcher.state_->dispatcher->Find(options.router) == nullptr)) {
    return absl::NotFoundError(
        absl::StrFormat("router: '%s', expected one that was trained", options.router.substr(0, 80)));
  }
  if (filter_documents != nullptr) {
    searcher.filter_ = std::make_unique<RowFilter>(filter_documents);
    for (const auto& set : searcher.state_->sets) {
      for (const VectorPart& part : set->parts()) searcher.filter_->Prepare(part, *filter_documents);
    }
  }
  return searcher;
}

Plan Searcher::PlanAll() const {
  Plan plan;
  plan.mode = "all";
  plan.plain = true;
  std::vector<std::uint32_t> experts(state_->experts.size());
  for (std::uint32_t i = 0; i < experts.size(); ++i) experts[i] = i;
  // The narrowest expert first: it lends its name to the hits of a vector set that several share.
  std::stable_sort(experts.begin(), experts.end(), [&](std::uint32_t a, std::uint32_t b) {
    const ExpertView &x = state_->experts[a], &y = state_->experts[b];
    return std::make_tuple(x.every_partition, x.adapter != nullptr) <
           std::make_tuple(y.every_partition, y.adapter != nullptr);
  });
  routing::RequestExperts(state_->experts.size(), experts, &plan.dispatch);
  return plan;
}

absl::Status Searcher::PlanUnrouted(QueryVectors* query, Plan* plan) const {
  *plan = PlanAll();
  plan->mode = "auto";
  for (const ExpertView& expert : state_->experts) {
    if (expert.sets.empty() || !reader_.AdaptsAll(expert.space) || plan->readings.count(expert.space) > 0)
      continue;
    TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(expert.space));
    TRIVIUM_RETURN_IF_ERROR(reader_.ReadAsAll(expert.space, vector, &plan->readings[expert.space]));
  }
  return absl::OkStatus();
}

Plan Searcher::PlanNamed(absl::Span<const std::uint32_t> experts) const {
  Plan plan;
  plan.mode = "named";
  routing::RequestExperts(state_->experts.size(), experts, &plan.dispatch);
  return plan;
}

absl::Status Searcher::PlanRouted(const Dispatcher::Entry& entry, QueryVectors* query,
                                  SearcherScratch* scratch, Plan* plan) const {
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
  scratch->costs.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const ExpertView& expert = state_->experts[i];
    scratch->costs[i] = expert.cost;
    if (expert.column < 0) continue;
    scratch->utility[i] = scratch->predicted[expert.column];
    scratch->uncertainty[i] = scratch->errors[expert.column];
  }
  routing::DispatchOptions policy = entry.settings.policy;
  if (options_.top_p) policy.top_p = static_cast<float>(*options_.top_p);
  if (options_.max_experts) policy.max_experts = static_cast<std::size_t>(*options_.max_experts);
  plan->router = entry.settings.router;
  plan->prior_weight = entry.settings.answer.prior_weight;
  routing::ChooseExperts(scratch->utility, scratch->uncertainty, scratch->costs, nullptr, policy,
                         &plan->dispatch);
  const std::optional<routing::QueryMixture>& mixture = entry.settings.answer.mixture;
  return mixture && !plan->dispatch.fell_back ? MixReadings(*mixture, query, plan) : absl::OkStatus();
}

absl::Status Searcher::MixReadings(const routing::QueryMixture& mixture, QueryVectors* query,
                                   Plan* plan) const {
  for (const std::uint32_t chosen : plan->dispatch.chosen) {
    const ExpertView& expert = state_->experts[chosen];
    if (expert.sets.empty() || !reader_.CanMix(expert.space) || plan->readings.count(expert.space) > 0)
      continue;
    TRIVIUM_ASSIGN_OR_RETURN(const float* vector, query->Get(expert.space));
    TRIVIUM_RETURN_IF_ERROR(
        reader_.Mix(expert.space, plan->dispatch.experts, mixture, vector, &plan->readings[expert.space]));
    plan->mixed = true;
  }
  return absl::OkStatus();
}

absl::Status Searcher::Choose(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const {
  TRIVIUM_RETURN_IF_ERROR(ChooseAmongAll(query, scratch, plan));
  return query->text().empty() ? LeaveOutLexical(plan) : absl::OkStatus();
}

absl::Status Searcher::ChooseAmongAll(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const {
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

absl::Status Searcher::PlanAuto(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const {
  if (const Dispatcher::Entry* entry = RouterInUse(*query)) {
    *plan = Plan();
    plan->mode = "auto";
    TRIVIUM_RETURN_IF_ERROR(PlanRouted(*entry, query, scratch, plan));
    if (!plan->dispatch.fell_back) return absl::OkStatus();
  }
  return PlanUnrouted(query, plan);
}

// Takes lexical experts out of a plan for a query without a text. kInvalidArgument where one was named, or
// nobody is left.
absl::Status Searcher::LeaveOutLexical(Plan* plan) const {
  std::vector<std::uint32_t>& chosen = plan->dispatch.chosen;
  const auto is_lexical = [&](std::uint32_t e) { return state_->experts[e].lexical; };
  const auto first = std::find_if(chosen.begin(), chosen.end(), is_lexical);
  if (first == chosen.end()) return absl::OkStatus();
  if (plan->mode == "named" || std::all_of(chosen.begin(), chosen.end(), is_lexical)) {
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

bool Searcher::AsksOnlyLexical() const {
  return !named_.empty() && std::all_of(named_.begin(), named_.end(),
                                        [&](std::uint32_t e) { return state_->experts[e].lexical; });
}

absl::Status Searcher::PlanRejected(QueryVectors* query, Plan* plan) const {
  if (options_.on_reject == OnReject::kAll) return PlanUnrouted(query, plan);
  *plan = PlanAll();
  plan->mode = "auto";
  if (options_.on_reject == OnReject::kNothing) {
    routing::RequestExperts(state_->experts.size(), {}, &plan->dispatch);
  }
  return absl::OkStatus();
}

// None where the store has no guard that may reject, or the query no vector for it.
absl::StatusOr<std::optional<double>> Searcher::AskGuard(QueryVectors* query,
                                                         SearcherScratch* scratch) const {
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

// Null where everybody is to be asked.
const Dispatcher::Entry* Searcher::RouterInUse(const QueryVectors& query) const {
  if (state_->dispatcher == nullptr) return nullptr;
  const DispatchRecord& record = *state_->schema.dispatch;
  if (options_.router.empty() && !record.enabled) return nullptr;
  const std::uint32_t space = state_->dispatcher->space();
  if (!query.Has(space) && !query.CanEncode(space)) return nullptr;
  return state_->dispatcher->Find(options_.router.empty() ? record.router : options_.router);
}

absl::Status Searcher::SearchExperts(const Plan& plan, std::size_t depth, QueryVectors* query,
                                     SearcherScratch* scratch, std::vector<ExpertList>* lists) const {
  ExpertSearches searches(*state_, options_, reader_, filter_.get(), 1);
  TRIVIUM_RETURN_IF_ERROR(searches.Add(plan.dispatch.chosen, plan.plain, plan.readings, depth, query, lists));
  return searches.Run(&scratch->sets);
}

std::string Searcher::Fuse(const Plan& plan, const std::vector<const ExpertList*>& lists, std::size_t k,
                           routing::FusionMethod method, SearcherScratch* scratch,
                           std::vector<routing::FusedHit>* hits) const {
  std::vector<routing::ExpertResult> results;
  std::set<std::uint32_t> spaces;  // of dense lists
  std::size_t lexical_count = 0;
  for (const ExpertList* list : lists) {
    const routing::ExpertChoice& choice = plan.dispatch.experts[list->expert];
    const ExpertView& expert = state_->experts[list->expert];
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
  if (method == routing::FusionMethod::kAuto && options_.fusion == FusionChoice::kConvex && !one_voter) {
    method = routing::FusionMethod::kConvex;
    const auto share = static_cast<float>(options_.lexical_weight);
    for (routing::ExpertResult& result : results) {  // of its kind's share, as much as the others
      const bool lexical = result.kind == routing::ExpertKind::kLexical;
      result.weight *= lexical ? share / static_cast<float>(lexical_count)
                               : (1 - share) / static_cast<float>(spaces.size());
    }
  }
  routing::FuseResults(results, k, method, &scratch->fusion, hits);
  if (lists.empty()) return "none";
  if (method == routing::FusionMethod::kConvex) return "convex";
  if (method == routing::FusionMethod::kReciprocalRank || !one_voter) return "rrf";
  if (plan.prior_weight > 0) return "score+prior";
  return lists.size() == 1 ? "single" : "score";
}

std::size_t Searcher::SearchDepth(const Plan& plan) const {
  for (std::uint32_t expert : plan.dispatch.chosen) {
    const ExpertView& first = state_->experts[plan.dispatch.chosen.front()];
    const bool own_voter = state_->experts[expert].lexical && plan.dispatch.chosen.size() > 1;
    if (own_voter || state_->experts[expert].space != first.space) {
      return std::max(options_.k, kRankFusionDepth);
    }
  }
  return options_.k;
}

void Searcher::FuseAnswer(SearcherScratch* scratch, Answer* answer) const {
  std::vector<const ExpertList*> lists;
  for (const ExpertList& list : answer->lists) lists.push_back(&list);
  answer->fusion =
      Fuse(answer->plan, lists, options_.k, routing::FusionMethod::kAuto, scratch, &answer->hits);
}

// As many queries as RunMany answers together. One where nothing is gained: only walks of a graph take turns.
std::size_t Searcher::QueriesAtOnce() const {
  bool walks = false;
  std::size_t query_bytes = 1;
  for (const ExpertView& expert : state_->experts) {
    for (const std::uint32_t index : expert.sets) {
      const VectorSet& set = *state_->sets[index];
      walks = walks || std::any_of(set.parts().begin(), set.parts().end(),
                                   [](const VectorPart& part) { return !part.file.empty(); });
      query_bytes += set.dimension() * sizeof(float) +
                     std::min(std::max(options_.k, kRankFusionDepth), set.live_count()) *
                         (sizeof(base::Neighbor) + sizeof(routing::ScoredDocument));
    }
  }
  if (!walks || options_.index == IndexChoice::kExact) return 1;
  return std::clamp<std::size_t>(kBytesAtOnce / query_bytes, 1, kMostQueriesAtOnce);
}

// Whether the chosen experts hold less than k of what the filter lets pass, which it must not leave at that
// where others may hold more.
bool Searcher::FoundTooLittle(const Answer& answer) const {
  return filter_ != nullptr && answer.plan.mode == "auto" && !answer.plan.plain &&
         answer.hits.size() < options_.k;
}

absl::Status Searcher::AskEverybodyToo(absl::Span<QueryVectors> queries,
                                       const std::vector<std::size_t>& asking, SearcherScratch* scratch,
                                       absl::Span<Answer> answers) const {
  if (asking.empty()) return absl::OkStatus();
  ExpertSearches searches(*state_, options_, reader_, filter_.get(), asking.size());
  std::vector<std::vector<ExpertList>> first;
  for (const std::size_t i : asking) {
    Answer& answer = answers[i];
    first.push_back(std::move(answer.lists));
    std::string router = std::move(answer.plan.router);
    const std::optional<double> in_domain = answer.plan.in_domain;
    TRIVIUM_RETURN_IF_ERROR(PlanUnrouted(&queries[i], &answer.plan));
    answer.plan.router = std::move(router);
    answer.plan.in_domain = in_domain;
    TRIVIUM_RETURN_IF_ERROR(searches.Add(answer.plan.dispatch.chosen, answer.plan.plain, answer.plan.readings,
                                         SearchDepth(answer.plan), &queries[i], &answer.lists));
  }
  TRIVIUM_RETURN_IF_ERROR(searches.Run(&scratch->sets));
  for (std::size_t a = 0; a < asking.size(); ++a) {
    Answer& answer = answers[asking[a]];
    for (const ExpertList& list : first[a]) {  // what the first try cost stays counted
      answer.lists.front().counters.Add(list.counters);
      answer.lists.front().searches += list.searches;
    }
    FuseAnswer(scratch, &answer);
  }
  return absl::OkStatus();
}

absl::Status Searcher::RunTogether(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                                   absl::Span<Answer> answers) const {
  const auto count = static_cast<double>(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    TRIVIUM_RETURN_IF_ERROR(Choose(&queries[i], scratch, &answers[i].plan));
    answers[i].dispatch_us = MicrosSince(start) - queries[i].encode_us();
  }
  auto start = std::chrono::steady_clock::now();
  double encode_us = 0;
  ExpertSearches searches(*state_, options_, reader_, filter_.get(), queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const Plan& plan = answers[i].plan;
    const double encoded_us = queries[i].encode_us();
    TRIVIUM_RETURN_IF_ERROR(searches.Add(plan.dispatch.chosen, plan.plain, plan.readings, SearchDepth(plan),
                                         &queries[i], &answers[i].lists));
    encode_us += queries[i].encode_us() - encoded_us;
  }
  TRIVIUM_RETURN_IF_ERROR(searches.Run(&scratch->sets));
  const double search_us = (MicrosSince(start) - encode_us) / count;
  start = std::chrono::steady_clock::now();
  std::vector<std::size_t> asking;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    FuseAnswer(scratch, &answers[i]);
    if (FoundTooLittle(answers[i])) asking.push_back(i);
  }
  TRIVIUM_RETURN_IF_ERROR(AskEverybodyToo(queries, asking, scratch, answers));
  const double fuse_us = MicrosSince(start) / count;
  for (Answer& answer : answers) {
    answer.search_us = search_us;
    answer.fuse_us = fuse_us;
  }
  return absl::OkStatus();
}

absl::Status Searcher::Run(QueryVectors* query, SearcherScratch* scratch, Answer* answer) const {
  return RunTogether({query, 1}, scratch, {answer, 1});
}

absl::Status Searcher::RunMany(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                               absl::Span<Answer> answers) const {
  const std::size_t at_once = QueriesAtOnce();
  for (std::size_t first = 0; first < queries.size(); first += at_once) {
    const absl::Span<QueryVectors> some = queries.subspan(first, at_once);
    const absl::Status status = RunTogether(some, scratch, answers.subspan(first, some.size()));
    if (status.ok()) continue;
    if (some.size() == 1) return status;
    // Which query fails first shows when they are asked one after the other.
    for (std::size_t i = first; i < first + some.size(); ++i) {
      answers[i] = Answer();
      TRIVIUM_RETURN_IF_ERROR(Run(&queries[i], scratch, &answers[i]));
    }
  }
  return absl::OkStatus();
}

}  // namespace trivium
