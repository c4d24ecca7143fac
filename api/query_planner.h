// SPDX-License-Identifier: Apache-2.0
// Before anything is searched: which experts a query is sent to, and how they read it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "api/query_reader.h"
#include "api/query_vectors.h"
#include "api/search_scope.h"
#include "api/spending_limit.h"
#include "api/store_state.h"
#include "base/bitmap.h"
#include "routing/expert/answer_memory.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/feedback_correction.h"
#include "routing/expert/second_look.h"
#include "trivium/options.h"

namespace trivium {

// Buffers of one thread, reused from query to query.
struct PlannerScratch {
  routing::RouterScratch router;
  routing::FeedbackScratch feedback;
  routing::MemoryScratch memory;
  std::vector<float> predicted, errors;     // by column of the router
  std::vector<float> utility, uncertainty;  // by expert
  std::vector<float> direction;
};

// How a query is to be answered: which experts, with what weight.
struct Plan {
  std::string mode;                 // "auto", "all" or "named"
  bool rejected = false;            // by the guard
  std::optional<double> in_domain;  // the guard's probability; none: it was not asked
  std::string router;               // empty: none chose
  routing::Dispatch dispatch;
  float prior_weight = 0;
  // Of the router in use, which keeps it: probabilities are revised by what is found. Null: they are not.
  const routing::SecondLook* second_look = nullptr;
  bool may_widen = false;  // more experts may be asked where a second look is not sure
  bool widened = false;    // they were
  bool plain = false;      // "all": the experts' adapters are not applied, every vector set is searched once
  QueryReadings readings;  // asked instead of the query and of adapters, in their spaces
  std::optional<routing::QueryMixture> mixture;     // that they are; none: they are not mixed
  std::optional<float> lexical_weight;              // learned share of lexical experts in the answer
  std::vector<routing::ScoredDocument> remembered;  // hits that are raised, by key
  std::vector<float> memory_weights;  // by expert, what its hits among them are raised by; empty: none is
};

// Const functions are safe to call concurrently, each thread with a scratch of its own.
class QueryPlanner {
 public:
  QueryPlanner() = default;

  // `options` are valid. kNotFound: an expert, partition or router that the store does not have;
  // kInvalidArgument: an expert is asked that is not allowed.
  static absl::StatusOr<QueryPlanner> Create(std::shared_ptr<const StoreState> state,
                                             const SearchOptions& options);

  // From now on "auto" spends no more than this.
  void LimitSpending(std::optional<SpendingLimit> spending) { spending_ = std::move(spending); }

  // From now on queries that adapters learned from are read as `held_out`, which must outlive this, says.
  void ReadHeldOut(const HeldOutReadings* held_out) {
    reader_ = QueryReader(state_.get(), options_.adapters, held_out);
  }

  // The plan that the options ask for.
  absl::Status Choose(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const;

  // The plan that asks every expert allowed as an untrained store would.
  Plan PlanAll() const;
  // The plan of "auto" where no router chooses: as PlanAll, the query read by the adapters of all domains
  // that are in use; with a limit, only the experts of most documents that it pays for. What the encoder says
  // where a text must be encoded for that.
  absl::Status PlanUnrouted(QueryVectors* query, Plan* plan) const;
  // The plan that asks these experts as they are.
  Plan PlanNamed(absl::Span<const std::uint32_t> experts) const;
  // The choice of one router with its own settings. REQUIRES: the dispatcher has it and the query has a
  // vector of its space. Lexical experts whose share was learned join the chosen ones.
  absl::Status PlanRouted(const Dispatcher::Entry& entry, QueryVectors* query, PlannerScratch* scratch,
                          Plan* plan) const;
  // Chooses more experts by the wider policy of the plan's second look; those chosen stay.
  // REQUIRES: plan->may_widen, which is over then. kInvalidArgument as of Choose.
  absl::Status Widen(const QueryVectors& query, PlannerScratch* scratch, Plan* plan) const;
  // The choice alone, from what is in the scratch: utility and uncertainty of every expert.
  void ChooseByUtility(const Dispatcher::Entry& entry, const QueryVectors& query, PlannerScratch* scratch,
                       Plan* plan) const;
  // Likewise, with a router's settings but another policy.
  void ChooseBy(const routing::DispatchSettings& settings, const routing::DispatchOptions& policy,
                const QueryVectors& query, absl::Span<const float> utility,
                absl::Span<const float> uncertainty, absl::Span<const float> costs, Plan* plan) const;
  // Lets the plan ask a mixture of readings in every space where that differs from asking as it is. What the
  // encoder says where a text must be encoded for that.
  absl::Status MixReadings(const routing::QueryMixture& mixture, QueryVectors* query, Plan* plan) const;

  // The lexical experts that join where a share was learned: of those that search the same texts the widest.
  const std::vector<std::uint32_t>& joining() const { return joining_; }
  // Whether the experts named are all lexical, so that no vector is needed.
  bool AsksOnlyLexical() const;

  const StoreState& state() const { return *state_; }
  const SearchOptions& options() const { return options_; }
  const QueryReader& reader() const { return reader_; }
  const SearchScope& scope() const { return scope_; }

 private:
  absl::Status ChooseAmongAll(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const;
  absl::Status PlanAuto(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const;
  absl::Status PlanRejected(QueryVectors* query, Plan* plan) const;
  const Dispatcher::Entry* RouterInUse(const QueryVectors& query) const;
  absl::StatusOr<std::optional<double>> AskGuard(QueryVectors* query, PlannerScratch* scratch) const;
  absl::Status LeaveOutLexical(Plan* plan) const;
  void LeaveOutQuarantined(routing::Dispatch* dispatch) const;
  void CorrectByFeedback(PlannerScratch* scratch) const;
  absl::Status PlanReplayed(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const;
  absl::Status RecallReplayed(QueryVectors* query, PlannerScratch* scratch, Plan* plan) const;
  absl::Status CheckAllowed(absl::Span<const std::uint32_t> experts) const;
  void FindChoosable();
  bool SpendWithinLimit(const QueryVectors& query, bool joins, const base::Bitmap& askable,
                        routing::Dispatch* dispatch) const;
  Plan PlanUnread(const QueryVectors& query) const;
  Plan PlanSome(std::vector<std::uint32_t> experts) const;
  std::vector<std::uint32_t> AffordableExperts(const QueryVectors& query) const;
  absl::Status ReadAsAllDomains(QueryVectors* query, Plan* plan) const;
  void Recall(const routing::DispatchSettings& settings, const float* vector, PlannerScratch* scratch,
              Plan* plan) const;

  std::shared_ptr<const StoreState> state_;
  SearchOptions options_;
  QueryReader reader_{nullptr, AdapterUse::kStore};
  SearchScope scope_;
  std::optional<SpendingLimit> spending_;
  std::vector<std::uint32_t> named_, joining_;
  base::Bitmap choosable_, dense_;  // experts that "auto" may ask; of these, those that are not lexical
  std::optional<Plan> replayed_;    // but for the readings
};

}  // namespace trivium
