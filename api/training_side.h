// SPDX-License-Identifier: Apache-2.0
// The queries of one side of training (training or validation), with what every expert finds for them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "api/searcher.h"
#include "routing/expert/answer_memory.h"
#include "routing/expert/dispatch_trainer.h"

namespace trivium {

class TrainingSide {
 public:
  TrainingSide(const Searcher* searcher, EncoderSet* encoders) : searcher_(searcher), encoders_(encoders) {}

  // Resolves judgements and vectors. `sets` must outlive this. Queries without a relevant document are left
  // out unless `keep_unjudged`. kInvalidArgument, kNotFound.
  absl::Status Load(const std::vector<QuerySet>& sets, std::uint32_t space, bool keep_unjudged = false);
  // `comparable`: experts whose agreement is measured, too, by the same searches; may be empty.
  absl::Status MeasureUtilities(absl::Span<const std::uint32_t> comparable, int thread_count,
                                const ProgressCallback& progress, const std::atomic<bool>* cancelled);

  std::size_t size() const { return queries_.size(); }
  // Whether every query has a text, which lexical experts read.
  bool has_texts() const;
  std::uint64_t unknown_judgements() const { return unknown_judgements_; }
  const routing::PilotSet& pilots() const { return pilots_; }
  // One for each pilot, in their order, as ExpertFacts has them; empty where no experts are comparable.
  const routing::PilotSet& agreement() const { return agreement_; }
  routing::PilotSet TakeAgreement() { return std::move(agreement_); }
  routing::DispatchQueries View(int thread_count) const;

  // What the queries of `sides`, one after the other, were judged for. `graph_threshold` as of PilotIndex.
  static absl::StatusOr<routing::AnswerMemory> RememberAnswers(absl::Span<const TrainingSide* const> sides,
                                                               std::size_t graph_threshold);
  // From now on EvaluateChoice can raise what is remembered of the queries of `earlier`. If that is this
  // side, near twins are not heard, and by half of the queries, which stand for new ones, neither are queries
  // that share a relevant document. Call once.
  absl::Status Remember(const TrainingSide& earlier);

  // nDCG@10 of the fused answer of `choice`; a choice of everybody is answered as "auto" does without a
  // router.
  double EvaluateChoice(std::size_t query, const routing::Dispatch& choice,
                        const routing::AnswerSettings& settings) const;

  // Of the chosen dense experts: routing::FirstScores.
  void FirstScores(std::size_t query, const routing::Dispatch& choice,
                   const routing::AnswerSettings& settings, absl::Span<float> scores) const;

  // The first search that failed while choices were evaluated; their figures are worthless then.
  absl::Status failure() const;

 private:
  struct Item {
    const QuerySet* set = nullptr;
    const PreparedQueries* prepared = nullptr;
    std::size_t local = 0;  // row in `prepared`
    JudgedQuery query;
    std::uint32_t set_number = 0;
    const float* row = nullptr;  // in the router space
    mutable std::once_flag searched;
    mutable std::vector<ExpertList> lists;  // of every expert; filled when first evaluated
    mutable std::once_flag searched_unrouted;
    mutable std::vector<ExpertList> unrouted_lists;  // of the answer without a router, where that differs
    // Of experts as they were asked last: with this mixture of readings, which these probabilities made, if
    // any, and to this depth.
    mutable std::optional<routing::QueryMixture> mixture;
    mutable std::vector<float> probabilities;  // by expert
    mutable std::size_t asked_depth = 0;
    mutable std::vector<ExpertList> asked_lists;
    mutable std::once_flag compared;
    mutable std::vector<base::Neighbor> similar;  // earlier queries that are heard; filled when first needed
    std::vector<float> unit_row;                  // owns `row` where the space's rows are not unit vectors
  };

  QueryVectors Vectors(const Item& item) const;
  const std::vector<ExpertList>& Lists(const Item& item) const;
  const std::vector<ExpertList>& UnroutedLists(const Item& item) const;
  std::size_t Wanted(const Item& item) const;
  std::size_t Depth(const Item& item, const Plan& plan) const;
  void Search(const Item& item, const Plan& plan, std::size_t depth, std::vector<ExpertList>* lists) const;
  // What the chosen dense experts find with the mixture of readings, or as they read the query, as deep as
  // the plan wants; they may stand among others. Searched where the last call for this item asked otherwise.
  const std::vector<ExpertList>& AskedLists(const Item& item,
                                            const std::optional<routing::QueryMixture>& mixture,
                                            Plan* plan) const;
  void Recall(const Item& item, const routing::MemorySettings& memory, Plan* plan) const;
  void Fail(const absl::Status& status) const;
  std::vector<float> OwnersOf(const Item& item) const;
  absl::Status MeasureQuery(const Item& item, const std::vector<bool>& compared, absl::Span<float> utilities,
                            absl::Span<float> agreement) const;

  const Searcher* searcher_;
  mutable std::mutex failure_mutex_;
  mutable absl::Status failure_;
  EncoderSet* encoders_;
  std::vector<std::unique_ptr<PreparedQueries>> prepared_;
  std::vector<std::unique_ptr<Item>> queries_;
  routing::PilotSet pilots_, agreement_;
  routing::AnswerMemory memory_;
  bool remembers_itself_ = false;
  std::uint64_t unknown_judgements_ = 0;
  std::size_t dimension_ = 0;
};

}  // namespace trivium
