// SPDX-License-Identifier: Apache-2.0
#include "api/searcher.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "api/answer_fusion.h"
#include "base/status_macros.h"

namespace trivium {
namespace {

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
  TRIVIUM_ASSIGN_OR_RETURN(searcher.planner_, QueryPlanner::Create(std::move(state), options));
  if (filter_documents != nullptr) {
    searcher.filter_ = std::make_unique<RowFilter>(filter_documents);
    const auto& sets = searcher.state().sets;
    for (std::size_t i = 0; i < sets.size(); ++i) {
      if (!searcher.planner_.scope().AllowsSet(i)) continue;
      for (const VectorPart& part : sets[i]->parts()) searcher.filter_->Prepare(part, *filter_documents);
    }
  }
  searcher.planner_.LimitSpending(
      SpendingLimitOf(searcher.state(), searcher.planner_.scope(), searcher.filter_.get(), options));
  return searcher;
}

absl::Status Searcher::SearchExperts(const Plan& plan, std::size_t depth, QueryVectors* query,
                                     SearcherScratch* scratch, std::vector<ExpertList>* lists) const {
  ExpertSearches searches(state(), options(), planner_.reader(), planner_.scope(), filter_.get(), 1);
  TRIVIUM_RETURN_IF_ERROR(searches.Add(plan.dispatch.chosen, plan.plain, plan.readings, depth, query, lists));
  return searches.Run(&scratch->sets);
}

std::size_t Searcher::SearchDepth(const Plan& plan, std::size_t k) const {
  for (std::uint32_t expert : plan.dispatch.chosen) {
    const ExpertView& first = state().experts[plan.dispatch.chosen.front()];
    const bool own_voter = state().experts[expert].lexical && plan.dispatch.chosen.size() > 1;
    if (own_voter || state().experts[expert].space != first.space) {
      return std::max(k, kRankFusionDepth);
    }
  }
  if (options().budget) return k;  // which reckons with that many hits
  const bool raises = !plan.memory_weights.empty() &&
                      std::any_of(plan.dispatch.chosen.begin(), plan.dispatch.chosen.end(),
                                  [&](std::uint32_t expert) { return plan.memory_weights[expert] > 0; });
  return raises ? std::max(k, routing::kMemoryDepth) : k;
}

std::string Searcher::Fuse(const Plan& plan, const std::vector<const ExpertList*>& lists, std::size_t k,
                           routing::FusionMethod method, SearcherScratch* scratch,
                           std::vector<routing::FusedHit>* hits) const {
  return FuseLists(state(), options(), plan, lists, k, method, &scratch->fusion, hits);
}

void Searcher::FuseAnswer(SearcherScratch* scratch, Answer* answer) const {
  std::vector<const ExpertList*> lists;
  for (const ExpertList& list : answer->lists) lists.push_back(&list);
  answer->fusion =
      Fuse(answer->plan, lists, options().k, routing::FusionMethod::kAuto, scratch, &answer->hits);
}

// As many queries as RunMany answers together. One where nothing is gained: only walks of a graph take turns.
std::size_t Searcher::QueriesAtOnce() const {
  bool walks = false;
  std::size_t query_bytes = 1;
  for (const ExpertView& expert : state().experts) {
    for (const std::uint32_t index : expert.sets) {
      const VectorSet& set = *state().sets[index];
      walks = walks || std::any_of(set.parts().begin(), set.parts().end(),
                                   [](const VectorPart& part) { return !part.file.empty(); });
      query_bytes += set.dimension() * sizeof(float) +
                     std::min(std::max(options().k, kRankFusionDepth), set.live_count()) *
                         (sizeof(base::Neighbor) + sizeof(routing::ScoredDocument));
    }
  }
  const bool in_turns = options().index == IndexChoice::kStore || options().index == IndexChoice::kGraph;
  if (!walks || !in_turns) return 1;
  return std::clamp<std::size_t>(kBytesAtOnce / query_bytes, 1, kMostQueriesAtOnce);
}

// Whether the chosen experts hold less than k of what the filter and the partitions let pass, which must not
// be left at that where others may hold more. A limit of cost and a route to take again go before.
bool Searcher::FoundTooLittle(const Answer& answer) const {
  const bool limited = options().cost || options().budget || options().route;
  return (filter_ != nullptr || planner_.scope().limits_partitions()) && !limited &&
         answer.plan.mode == "auto" && !answer.plan.plain && answer.hits.size() < options().k;
}

absl::Status Searcher::AskEverybodyToo(absl::Span<QueryVectors> queries,
                                       const std::vector<std::size_t>& asking, SearcherScratch* scratch,
                                       absl::Span<Answer> answers) const {
  if (asking.empty()) return absl::OkStatus();
  ExpertSearches searches(state(), options(), planner_.reader(), planner_.scope(), filter_.get(),
                          asking.size());
  std::vector<std::vector<ExpertList>> first;
  for (const std::size_t i : asking) {
    Answer& answer = answers[i];
    first.push_back(std::move(answer.lists));
    std::string router = std::move(answer.plan.router);
    const std::optional<double> in_domain = answer.plan.in_domain;
    TRIVIUM_RETURN_IF_ERROR(planner_.PlanUnrouted(&queries[i], &answer.plan));
    answer.plan.router = std::move(router);
    answer.plan.in_domain = in_domain;
    TRIVIUM_RETURN_IF_ERROR(searches.Add(answer.plan.dispatch.chosen, answer.plan.plain, answer.plan.readings,
                                         SearchDepth(answer.plan, options().k), &queries[i], &answer.lists));
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

absl::Status Searcher::LookAgain(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                                 absl::Span<Answer> answers) const {
  const auto look = [&](std::size_t i) {
    std::vector<const ExpertList*> lists;
    for (const ExpertList& list : answers[i].lists) lists.push_back(&list);
    return trivium::LookAgain(state(), lists, state().columns, queries[i].own(), &answers[i].plan);
  };
  ExpertSearches searches(state(), options(), planner_.reader(), planner_.scope(), filter_.get(),
                          queries.size());
  std::vector<std::pair<std::size_t, std::vector<ExpertList>>> widened;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    Plan& plan = answers[i].plan;
    if (plan.second_look == nullptr) continue;
    const float sure = look(i);
    if (!plan.may_widen || sure >= plan.second_look->widen_below) continue;
    const std::vector<std::uint32_t> asked = plan.dispatch.chosen;
    TRIVIUM_RETURN_IF_ERROR(planner_.Widen(queries[i], &scratch->planner, &plan));
    std::vector<std::uint32_t> more = plan.dispatch.chosen;
    std::erase_if(more,
                  [&](std::uint32_t e) { return std::find(asked.begin(), asked.end(), e) != asked.end(); });
    widened.emplace_back(i, std::vector<ExpertList>());
    TRIVIUM_RETURN_IF_ERROR(searches.Add(more, plan.plain, plan.readings, SearchDepth(plan, options().k),
                                         &queries[i], &widened.back().second));
  }
  if (widened.empty()) return absl::OkStatus();
  TRIVIUM_RETURN_IF_ERROR(searches.Run(&scratch->sets));
  for (auto& [i, lists] : widened) {
    for (ExpertList& list : lists) answers[i].lists.push_back(std::move(list));
    look(i);
  }
  return absl::OkStatus();
}

absl::Status Searcher::RunTogether(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                                   absl::Span<Answer> answers) const {
  const auto count = static_cast<double>(queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    TRIVIUM_RETURN_IF_ERROR(planner_.Choose(&queries[i], &scratch->planner, &answers[i].plan));
    answers[i].dispatch_us = MicrosSince(start) - queries[i].encode_us();
  }
  auto start = std::chrono::steady_clock::now();
  double encode_us = 0;
  ExpertSearches searches(state(), options(), planner_.reader(), planner_.scope(), filter_.get(),
                          queries.size());
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const Plan& plan = answers[i].plan;
    const double encoded_us = queries[i].encode_us();
    TRIVIUM_RETURN_IF_ERROR(searches.Add(plan.dispatch.chosen, plan.plain, plan.readings,
                                         SearchDepth(plan, options().k), &queries[i], &answers[i].lists));
    encode_us += queries[i].encode_us() - encoded_us;
  }
  TRIVIUM_RETURN_IF_ERROR(searches.Run(&scratch->sets));
  TRIVIUM_RETURN_IF_ERROR(LookAgain(queries, scratch, answers));
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
