// SPDX-License-Identifier: Apache-2.0
// The life of a query inside the engine: planned, searched in the vector sets of the chosen experts, fused.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/expert_searches.h"
#include "api/query_planner.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "routing/expert/result_fusion.h"
#include "trivium/options.h"
#include "trivium/search_result.h"

namespace trivium {

// Buffers of one thread, reused from query to query.
struct SearcherScratch {
  VectorSetScratch sets;
  PlannerScratch planner;
  routing::FusionScratch fusion;
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
  // `options` are valid. Errors as of QueryPlanner::Create. `filter_documents`: null, or a bit per document
  // number that may be found.
  static absl::StatusOr<Searcher> Create(std::shared_ptr<const StoreState> state,
                                         const SearchOptions& options,
                                         std::shared_ptr<const base::Bitmap> filter_documents);

  // Chooses, searches and fuses. Safe to call concurrently, each thread with a scratch of its own.
  absl::Status Run(QueryVectors* query, SearcherScratch* scratch, Answer* answer) const;

  // Run for each query; `answers`: one for each. What several of them ask of a vector set is searched
  // together, which is faster, at most 64 queries and about 16 MB at once. The answers are those of Run but
  // for their times, which are shares of the common ones; an error is that of the first query that fails by
  // itself, and the answers after it are undefined.
  absl::Status RunMany(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                       absl::Span<Answer> answers) const;

  // The steps of Run after planning, for training and comparison.
  // One list per chosen expert, `depth` hits each.
  absl::Status SearchExperts(const Plan& plan, std::size_t depth, QueryVectors* query,
                             SearcherScratch* scratch, std::vector<ExpertList>* lists) const;
  // How many hits of each expert the k best of the plan's answer are merged from.
  std::size_t SearchDepth(const Plan& plan, std::size_t k) const;
  // Returns the method used: "single", "score", "score+prior", "rrf" or "convex", and "none" without lists.
  // kAuto: as the options say.
  std::string Fuse(const Plan& plan, const std::vector<const ExpertList*>& lists, std::size_t k,
                   routing::FusionMethod method, SearcherScratch* scratch,
                   std::vector<routing::FusedHit>* hits) const;

  const QueryPlanner& planner() const { return planner_; }
  QueryPlanner& planner() { return planner_; }
  const StoreState& state() const { return planner_.state(); }
  const SearchOptions& options() const { return planner_.options(); }

 private:
  std::size_t QueriesAtOnce() const;
  absl::Status RunTogether(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                           absl::Span<Answer> answers) const;
  bool FoundTooLittle(const Answer& answer) const;
  absl::Status AskEverybodyToo(absl::Span<QueryVectors> queries, const std::vector<std::size_t>& asking,
                               SearcherScratch* scratch, absl::Span<Answer> answers) const;
  // Takes second looks at what was found, and asks more experts where they are not sure.
  absl::Status LookAgain(absl::Span<QueryVectors> queries, SearcherScratch* scratch,
                         absl::Span<Answer> answers) const;
  void FuseAnswer(SearcherScratch* scratch, Answer* answer) const;

  QueryPlanner planner_;
  std::unique_ptr<RowFilter> filter_;
};

}  // namespace trivium
