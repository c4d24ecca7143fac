// SPDX-License-Identifier: Apache-2.0
// Judged queries of one space with the documents near them: what adapters learn from and are judged by.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "api/store_state.h"
#include "base/aligned_matrix.h"
#include "routing/expert/adapter_trainer.h"

namespace trivium {

class AdapterQueries {
 public:
  // `state` and `encoders` must outlive this; the space has the cosine metric.
  AdapterQueries(const StoreState* state, EncoderSet* encoders, std::uint32_t space);

  // Keeps the queries with a relevant document that has a vector in the space. `sets` must outlive this.
  // kInvalidArgument: no vectors of the space and no encoder, or as ResolveJudgements; kNotFound.
  absl::Status Load(const std::vector<QuerySet>& sets);

  // Finds the documents near every query, relevant or not, in the whole space, and copies their vectors.
  // kCancelled. O(queries) searches; memory: a vector for each distinct document near any query.
  absl::Status Mine(int thread_count, const ProgressCallback& progress, const std::atomic<bool>* cancelled);

  std::size_t size() const { return queries_.size(); }
  std::uint64_t unknown_judgements() const { return unknown_judgements_; }
  // Whether there is anything else near it; else there is nothing to learn. REQUIRES: Mine was done.
  bool HasNegatives(std::size_t query) const { return !queries_[query].negatives.empty(); }
  const QuerySet& set(std::size_t query) const { return *queries_[query].set; }
  // Whether a relevant document lies in the partition.
  bool HasRelevant(std::size_t query, std::uint32_t partition) const;

  // Of the queries `chosen`, in that order. Valid while this is. REQUIRES: Mine was done.
  routing::AdapterQueries View(const std::vector<std::uint32_t>& chosen, int thread_count,
                               base::AlignedMatrix* rows) const;

  // nDCG@10 of what `vector` finds in the vector sets `sets` (indexes into StoreState::sets) for the query.
  // Safe to call concurrently.
  double Evaluate(std::size_t query, const float* vector, const std::vector<std::uint32_t>& sets) const;

 private:
  struct Query {
    const QuerySet* set = nullptr;
    std::uint32_t set_number = 0;
    JudgedQuery judged;
    std::vector<std::uint32_t> relevant, negatives, ignored;  // rows of documents_
  };

  // Documents of the vector sets nearest to `vector`, best first.
  std::vector<routing::ScoredDocument> Search(const float* vector, const std::vector<std::uint32_t>& sets,
                                              std::size_t depth) const;
  bool CopyDocument(std::uint64_t document, float* out) const;

  const StoreState* state_;
  EncoderSet* encoders_;
  std::uint32_t space_;
  std::vector<std::uint32_t> all_sets_;  // of the space
  std::vector<Query> queries_;
  base::AlignedMatrix rows_;       // of queries_
  base::AlignedMatrix documents_;  // distinct
  std::vector<std::uint64_t> document_keys_;
  std::uint64_t unknown_judgements_ = 0;
};

}  // namespace trivium
