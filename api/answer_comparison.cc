// SPDX-License-Identifier: Apache-2.0
#include "api/answer_comparison.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "api/answer_fusion.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/ranking_metrics.h"

namespace trivium {
namespace {

constexpr std::size_t kComparedDepth = 10;  // comparison is by nDCG@10

// What a router may spend: a cap with every probability covered, or a share of it without a cap.
struct Budget {
  std::string name;
  std::size_t max_experts = 0;  // 0: no cap
  float top_p = 1;
};

std::vector<Budget> Budgets(std::size_t expert_count) {
  std::vector<Budget> budgets;
  for (const std::size_t cap : {1, 2, 3, 5}) {
    if (cap < expert_count) budgets.push_back({absl::StrFormat("max_experts=%d", cap), cap, 1});
  }
  budgets.push_back({"max_experts=all", 0, 1});
  for (const float top_p : {0.5f, 0.8f, 0.9f, 0.95f}) {
    budgets.push_back({absl::StrFormat("top_p=%g", top_p), 0, top_p});
  }
  return budgets;
}

bool AnySpaceAdapter(const Searcher& searcher) {
  const StoreState& state = searcher.state();
  return std::any_of(state.experts.begin(), state.experts.end(), [&](const ExpertView& expert) {
    return state.SpaceAdapterInUse(expert.space, searcher.options().adapters) != nullptr;
  });
}

// All ways of answering one query.
class QueryComparison {
 public:
  QueryComparison(const Searcher& searcher, const std::vector<Budget>& budgets, const JudgedQuery& query,
                  QueryVectors* vectors, SearcherScratch* scratch)
      : searcher_(searcher),
        state_(searcher.state()),
        budgets_(budgets),
        query_(query),
        depth_(kComparedDepth + query.own.size()),
        vectors_(vectors),
        scratch_(scratch) {}

  // `ways` ends with one per expert, from which the oracles are made.
  absl::Status Run(ComparedQuery* compared) {
    for (std::uint32_t e = 0; e < state_.experts.size(); ++e) {
      if (!searcher_.planner().scope().AllowsExpert(e)) {  // finds nothing
        lists_.emplace_back().expert = e;
        singles_.emplace_back();
        continue;
      }
      std::vector<ExpertList> single;
      TRIVIUM_RETURN_IF_ERROR(searcher_.SearchExperts(searcher_.planner().PlanNamed({&e, 1}), depth_,
                                                      vectors_, scratch_, &single));
      lists_.push_back(std::move(single.front()));
      singles_.push_back(
          Judge(searcher_.planner().PlanNamed({&e, 1}), {&lists_[e]}, routing::FusionMethod::kAuto));
    }
    for (const AnswerOutcome& single : singles_) best_ = std::max(best_, single.ndcg);
    const Plan all = searcher_.planner().PlanAll();
    std::vector<ExpertList> lists;
    TRIVIUM_RETURN_IF_ERROR(
        searcher_.SearchExperts(all, searcher_.SearchDepth(all, depth_), vectors_, scratch_, &lists));
    std::vector<const ExpertList*> everyone;
    for (const ExpertList& list : lists) everyone.push_back(&list);
    const AnswerOutcome plain = Judge(all, everyone, routing::FusionMethod::kAuto);
    AnswerOutcome unrouted = plain;
    if (AnySpaceAdapter(searcher_)) {
      Plan plan;
      TRIVIUM_RETURN_IF_ERROR(searcher_.planner().PlanUnrouted(vectors_, &plan));
      TRIVIUM_ASSIGN_OR_RETURN(unrouted, Answer(plan));
    }

    if (state_.dispatcher != nullptr) {
      for (const Dispatcher::Entry& router : state_.dispatcher->entries()) {
        TRIVIUM_RETURN_IF_ERROR(RunRouter(router, unrouted, compared));
      }
    }
    if (searcher_.options().experts.mode != ExpertSelection::Mode::kAll) {
      Plan plan;
      TRIVIUM_RETURN_IF_ERROR(searcher_.planner().Choose(vectors_, &scratch_->planner, &plan));
      TRIVIUM_ASSIGN_OR_RETURN(compared->ways.emplace_back(), Answer(plan));
    }
    compared->ways.push_back(plain);
    if (AnySpaceAdapter(searcher_)) compared->ways.push_back(unrouted);
    compared->ways.push_back(Judge(all, everyone, routing::FusionMethod::kReciprocalRank));
    compared->ways.insert(compared->ways.end(), singles_.begin(), singles_.end());
    return absl::OkStatus();
  }

 private:
  // What the router answers as it was trained, and with each budget.
  absl::Status RunRouter(const Dispatcher::Entry& router, const AnswerOutcome& unrouted,
                         ComparedQuery* compared) {
    Plan plan;
    TRIVIUM_RETURN_IF_ERROR(searcher_.planner().PlanRouted(router, vectors_, &scratch_->planner, &plan));
    FirstExpert& first = compared->first.emplace_back();
    if (plan.dispatch.fell_back || plan.dispatch.chosen.empty()) {
      compared->ways.push_back(unrouted);
      compared->budgets.insert(compared->budgets.end(), budgets_.size(), unrouted);
      return absl::OkStatus();
    }
    const std::uint32_t expert = plan.dispatch.chosen.front();
    first = {.chosen = true,
             .probability = plan.dispatch.experts[expert].probability,
             .holds_relevant = RelevantGain(state_, query_, state_.experts[expert]) > 0,
             .best = singles_[expert].ndcg == best_,
             .answerable = best_ > 0};
    TRIVIUM_ASSIGN_OR_RETURN(compared->ways.emplace_back(), Answer(plan));
    plan.may_widen = false;  // a budget says how many

    std::vector<float> utility, uncertainty, costs;
    for (const routing::ExpertChoice& choice : plan.dispatch.experts) {
      utility.push_back(choice.utility);
      uncertainty.push_back(choice.uncertainty);
      costs.push_back(choice.cost);
    }
    for (const Budget& budget : budgets_) {
      routing::DispatchOptions policy = router.settings.policy;
      policy.max_experts = budget.max_experts;
      policy.top_p = budget.top_p;
      searcher_.planner().ChooseBy(router.settings, policy, *vectors_, utility, uncertainty, costs, &plan);
      TRIVIUM_ASSIGN_OR_RETURN(compared->budgets.emplace_back(), Answer(plan));
    }
    return absl::OkStatus();
  }

  // The answer of a plan, off the lists of its experts where it asks them as they are.
  absl::StatusOr<AnswerOutcome> Answer(Plan plan) {
    std::vector<ExpertList> searched;
    std::vector<const ExpertList*> chosen;
    const auto search = [&]() -> absl::Status {
      const bool as_they_are = !plan.plain && plan.readings.empty() && searcher_.SearchDepth(plan, 0) == 0;
      if (!as_they_are) {
        TRIVIUM_RETURN_IF_ERROR(searcher_.SearchExperts(plan, searcher_.SearchDepth(plan, depth_), vectors_,
                                                        scratch_, &searched));
      }
      chosen.clear();
      for (const ExpertList& list : searched) chosen.push_back(&list);
      for (const std::uint32_t expert : plan.dispatch.chosen) {
        if (as_they_are) chosen.push_back(&lists_[expert]);
      }
      return absl::OkStatus();
    };
    const auto look = [&] { return LookAgain(state_, chosen, state_.columns, query_.own, &plan); };
    TRIVIUM_RETURN_IF_ERROR(search());
    const float sure = look();
    if (plan.may_widen && sure < plan.second_look->widen_below) {
      TRIVIUM_RETURN_IF_ERROR(searcher_.planner().Widen(*vectors_, &scratch_->planner, &plan));
      TRIVIUM_RETURN_IF_ERROR(search());
      look();
    }
    return Judge(plan, chosen, routing::FusionMethod::kAuto);
  }

  AnswerOutcome Judge(const Plan& plan, const std::vector<const ExpertList*>& lists,
                      routing::FusionMethod method) {
    searcher_.Fuse(plan, lists, depth_, method, scratch_, &hits_);
    RankedKeys(hits_, query_, kComparedDepth, &keys_);
    AnswerOutcome outcome;
    outcome.ndcg = routing::NdcgAt(kComparedDepth, keys_, query_.judgements);
    std::set<std::uint32_t> sets;
    std::set<std::pair<std::uint32_t, const void*>> searched;  // experts that share a search pay for it once
    for (const ExpertList* list : lists) {
      const ExpertView& expert = state_.experts[list->expert];
      const bool own_reading = !plan.plain && plan.readings.count(expert.space) == 0;
      const void* adapter = own_reading ? AdapterInUse(expert, searcher_.options().adapters) : nullptr;
      for (const auto& [set, distances] : list->by_set) {
        sets.insert(set);
        if (searched.emplace(set, adapter).second) outcome.distances += static_cast<double>(distances);
      }
    }
    outcome.experts = static_cast<double>(sets.size());
    return outcome;
  }

  const Searcher& searcher_;
  const StoreState& state_;
  const std::vector<Budget>& budgets_;
  const JudgedQuery& query_;
  std::size_t depth_;
  QueryVectors* vectors_;
  SearcherScratch* scratch_;
  std::vector<ExpertList> lists_;       // by expert
  std::vector<AnswerOutcome> singles_;  // likewise, each asked alone
  double best_ = 0;                     // nDCG of the best of these
  std::vector<routing::FusedHit> hits_;
  std::vector<std::uint64_t> keys_;
};

// Puts the two oracles in the place of the `expert_count` last ways.
void MakeOracles(std::size_t expert_count, std::vector<ComparedQuery>* queries) {
  if (queries->empty()) return;
  const std::size_t first = queries->front().ways.size() - expert_count;
  std::size_t best_of_set = first;
  double best = -1;
  for (std::size_t way = first; way < first + expert_count; ++way) {
    double sum = 0;
    for (const ComparedQuery& query : *queries) sum += query.ways[way].ndcg;
    if (sum > best) best = sum, best_of_set = way;
  }
  for (ComparedQuery& query : *queries) {
    const AnswerOutcome domain = query.ways[best_of_set];
    const AnswerOutcome instance =
        *std::max_element(query.ways.begin() + static_cast<std::ptrdiff_t>(first), query.ways.end(),
                          [](const AnswerOutcome& a, const AnswerOutcome& b) {
                            return a.ndcg != b.ndcg ? a.ndcg < b.ndcg : a.distances > b.distances;
                          });
    query.ways.resize(first);
    query.ways.push_back(domain);
    query.ways.push_back(instance);
  }
}

}  // namespace

ComparedWays WaysToCompare(const Searcher& searcher) {
  ComparedWays ways;
  if (const Dispatcher* dispatcher = searcher.state().dispatcher.get()) {
    for (const Dispatcher::Entry& entry : dispatcher->entries())
      ways.routers.push_back(entry.settings.router);
  }
  for (const Budget& budget : Budgets(searcher.state().experts.size())) ways.budgets.push_back(budget.name);
  ways.names = ways.routers;
  switch (searcher.options().experts.mode) {
    case ExpertSelection::Mode::kAuto:
      ways.names.emplace_back("auto");
      break;
    case ExpertSelection::Mode::kNamed:
      ways.names.emplace_back("named");
      break;
    case ExpertSelection::Mode::kAll:
      break;
  }
  ways.all = ways.names.size();
  ways.names.emplace_back("all");
  if (AnySpaceAdapter(searcher)) ways.names.emplace_back("all_adapted");
  for (const char* name : {"all_rrf", "domain_oracle", "instance_oracle"}) ways.names.emplace_back(name);
  return ways;
}

absl::StatusOr<std::vector<ComparedQuery>> CompareAnswers(const Searcher& searcher, EncoderSet* encoders,
                                                          const JudgedSet& judged,
                                                          const PreparedQueries& prepared, int thread_count) {
  const StoreState& state = searcher.state();
  const std::vector<Budget> budgets = Budgets(state.experts.size());
  std::vector<ComparedQuery> queries(judged.queries.size());
  std::vector<SearcherScratch> scratch(thread_count);
  std::vector<absl::Status> failures(thread_count);
  base::ParallelFor(queries.size(), thread_count, 4, [&](std::size_t i, int thread) {
    if (!failures[thread].ok()) return;
    QueryVectors vectors = JudgedVectors(state, encoders, judged, i, prepared);
    failures[thread] =
        QueryComparison(searcher, budgets, judged.queries[i], &vectors, &scratch[thread]).Run(&queries[i]);
  });
  for (const absl::Status& failure : failures) TRIVIUM_RETURN_IF_ERROR(failure);
  MakeOracles(state.experts.size(), &queries);
  return queries;
}

}  // namespace trivium
