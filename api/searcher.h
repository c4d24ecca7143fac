// SPDX-License-Identifier: Apache-2.0
// The life of a query inside the engine: dispatch, search of the chosen experts' vector sets, fusion.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/expert_searches.h"
#include "api/query_reader.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "routing/expert/dispatch_policy.h"
#include "routing/expert/expert_router.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"
#include "trivium/search_result.h"

namespace trivium {

// Buffers of one thread, reused from query to query.
struct SearcherScratch {
  VectorSetScratch sets;
  routing::RouterScratch router;
  routing::FusionScratch fusion;
  std::vector<float> predicted, errors;            // by column of the router
  std::vector<float> utility, uncertainty, costs;  // by expert
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
  bool plain = false;      // "all": the experts' adapters are not applied, every vector set is searched once
  QueryReadings readings;  // asked instead of the query and of adapters, in their spaces
  bool mixed = false;      // they are mixtures
};

struct Answer {
  Plan plan;
  std::string fusion;
  std::vector<ExpertList> lists;
  std::vector<routing::FusedHit> hits;  // `expert` indexes StoreState::experts
  double dispatch_us = 0, search_us = 0, fuse_us = 0;
};

class Searcher {
 public:
  // `options` are valid. kNotFound: an expert or router that the store does not have. `filter_documents`:
  // null, or a bit per document number that may be found.
  static absl::StatusOr<Searcher> Create(std::shared_ptr<const StoreState> state,
                                         const SearchOptions& options,
                                         std::shared_ptr<const base::Bitmap> filter_documents);

  // From now on queries that adapters learned from are read as `held_out`, which must outlive this, says.
  void ReadHeldOut(const HeldOutReadings* held_out) {
    reader_ = QueryReader(state_.get(), options_.adapters, held_out);
  }

  // Chooses, searches and fuses. Safe to call concurrently, each thread with a scratch of its own.
  absl::Status Run(QueryVectors* query, SearcherScratch* scratch, Answer* answer) const;

  // Run for each query; `answers`: one for each. What several of them ask of a vector set is searched
  // together, which is faster, at most 64 queries and about 16 MB at once. The answers are those of Run but
  // for their times, which are shares of the common ones; an error is that of the first query that fails by
  // itself, and the answers after it are undefined.
  absl::Status RunMany(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                       absl::Span<Answer> answers) const;

  // The steps of Run, for training and comparison.
  absl::Status Choose(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const;
  // One list per chosen expert, `depth` hits each.
  absl::Status SearchExperts(const Plan& plan, std::size_t depth, QueryVectors* query,
                             SearcherScratch* scratch, std::vector<ExpertList>* lists) const;
  // Lets the plan ask a mixture of readings in every space where that differs from asking as it is. What the
  // encoder says where a text must be encoded for that.
  absl::Status MixReadings(const routing::QueryMixture& mixture, QueryVectors* query, Plan* plan) const;
  // Returns the method used: "single", "score", "score+prior", "rrf" or "convex", and "none" without lists.
  // kAuto: as the options say.
  std::string Fuse(const Plan& plan, const std::vector<const ExpertList*>& lists, std::size_t k,
                   routing::FusionMethod method, SearcherScratch* scratch,
                   std::vector<routing::FusedHit>* hits) const;

  // The plan that asks every expert as an untrained store would.
  Plan PlanAll() const;
  // The plan of "auto" where no router chooses: as PlanAll, the query read by the adapters of all domains
  // that are in use. What the encoder says where a text must be encoded for that.
  absl::Status PlanUnrouted(QueryVectors* query, Plan* plan) const;
  // The plan that asks these experts as they are.
  Plan PlanNamed(absl::Span<const std::uint32_t> experts) const;
  // The choice of one router with its own settings. REQUIRES: the dispatcher has it and the query has a
  // vector of its space.
  absl::Status PlanRouted(const Dispatcher::Entry& entry, QueryVectors* query, SearcherScratch* scratch,
                          Plan* plan) const;

  // Whether the experts named are all lexical, so that no vector is needed.
  bool AsksOnlyLexical() const;

  const StoreState& state() const { return *state_; }
  const SearchOptions& options() const { return options_; }
  const QueryReader& reader() const { return reader_; }

 private:
  absl::Status ChooseAmongAll(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const;
  absl::Status LeaveOutLexical(Plan* plan) const;
  std::size_t SearchDepth(const Plan& plan) const;
  std::size_t QueriesAtOnce() const;
  absl::Status RunTogether(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                           absl::Span<Answer> answers) const;
  const Dispatcher::Entry* RouterInUse(const QueryVectors& query) const;
  absl::StatusOr<std::optional<double>> AskGuard(QueryVectors* query, SearcherScratch* scratch) const;
  absl::Status PlanAuto(QueryVectors* query, SearcherScratch* scratch, Plan* plan) const;
  absl::Status PlanRejected(QueryVectors* query, Plan* plan) const;
  bool FoundTooLittle(const Answer& answer) const;
  absl::Status AskEverybodyToo(absl::Span<QueryVectors> queries, const std::vector<std::size_t>& asking,
                               SearcherScratch* scratch, absl::Span<Answer> answers) const;
  void FuseAnswer(SearcherScratch* scratch, Answer* answer) const;

  std::shared_ptr<const StoreState> state_;
  SearchOptions options_;
  QueryReader reader_{nullptr, AdapterUse::kStore};
  std::vector<std::uint32_t> named_;
  std::unique_ptr<RowFilter> filter_;
};

}  // namespace trivium
