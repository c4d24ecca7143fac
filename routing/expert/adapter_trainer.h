// SPDX-License-Identifier: Apache-2.0
// Learns how queries should be read so that their relevant documents come first, and says whether that pays
// on queries that the reading was not learned from.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/expert/ranking_metrics.h"

namespace trivium::routing {

// Fewer queries teach nothing that could be shown.
inline constexpr std::size_t kFewestAdapterQueries = 10;

// Judged queries with the documents near them. All rows are unit vectors.
struct AdapterQueries {
  base::MatrixView queries;                  // n x d
  base::MatrixView documents;                // m x d: those that the lists below name
  std::vector<std::uint64_t> document_keys;  // m, distinct; as in the judgements
  std::vector<const Judgements*> judgements;
  // Lists of one per query, of rows of `documents`.
  std::vector<std::vector<std::uint32_t>> relevant;   // at least one each
  std::vector<std::vector<std::uint32_t>> negatives;  // found for the plain query, nearest first; neither
                                                      // relevant nor ignored. At least one each
  std::vector<std::vector<std::uint32_t>> ignored;    // neither good nor bad: the query's own document
  // One per query, or empty; as in DispatchQueries.
  std::vector<std::uint64_t> groups;
  std::vector<std::uint64_t> twins;  // likewise, near twins only
  std::vector<std::uint32_t> sets;
};

// True quality (nDCG@10) of the answer to query `query` when it is asked as `vector`, a unit vector. Called
// from several threads at the same time.
using EvaluateReading = std::function<double(std::size_t query, const float* vector)>;

struct AdapterTrainingOptions {
  std::size_t rank = 0;            // of the learned residual; 0: full
  std::size_t batch_size = 128;    // queries a step, drawn so that every set is heard equally often
  std::size_t hard_negatives = 4;  // a query and step
  float temperature = 0.05f;
  double rate = 1e-3;
  // A step also descends ridge / 2 |W - identity|^2, and what counts is the mean of the matrices after each
  // step, older ones by powers of `averaging`, in [0, 1); 0, or where the rank is limited: the last one. Both
  // keep what is learned from some queries from harming others. Measured on 17 collections, docs/dispatch.md.
  double ridge = 0.03;
  double averaging = 0.98;
  std::size_t step_count = 400;  // at most
  // After so many steps quality is looked at; after `patience` looks without a better one learning ends.
  std::size_t look_every = 25;
  std::size_t patience = 4;
  std::size_t fold_count = 5;
  std::size_t bootstrap_rounds = 1000;
  std::uint64_t seed = 0;
  int thread_count = 0;                             // 0: all processors this process may use
  std::function<void(double done_share)> progress;  // on the calling thread; may be empty
  const std::atomic<bool>* cancelled = nullptr;     // checked at every look: kCancelled. May be null

  absl::Status Validate() const;  // kInvalidArgument names the field
};

struct AdapterReport {
  std::size_t queries = 0;
  std::size_t steps = 0;  // after which held-out quality was best; 0: never better than plain
  double plain = 0;       // macro nDCG@10 of the answers to plain queries
  double adapted = 0;     // and to the same, each read by an adapter that did not learn from it
  double gain = 0;        // adapted - plain, with its 95 % paired bootstrap interval
  double gain_low = 0;
  double gain_high = 0;
  bool accepted = false;
  std::string reason;  // one sentence for people
};

struct TrainedAdapter {
  base::AlignedMatrix matrix;  // d x d, learned from all queries; the identity where `steps` is 0
  // n x d: every query read by an adapter that did not learn from it or its twins, but perhaps from others
  // with the same relevant documents; and by one that did not learn from those either. Future queries will be
  // of both kinds. Measure utilities by these.
  base::AlignedMatrix apart_from_twins, apart_from_related;
  AdapterReport report;
};

// Learns on all queries for as many steps as were best, over folds of related queries, for those held out;
// the gate accepts where the answers to held-out queries are better by the whole of the gain's interval. What
// was best is judged by ranking each query's relevant documents and negatives, the gate by `evaluate`. As
// many steps over folds of twins then give `apart_from_twins`.
//
// kInvalidArgument: arrays of different lengths, options out of range. kFailedPrecondition: fewer than
// kFewestAdapterQueries, or a single group, which no split can separate. kCancelled.
// The same for any number of threads. Memory: at most 7 (2 fold_count + 1) d^2 floats. Cost: (fold_count + 1)
// x step_count batches of batch_size, fold_count x as many steps as were best, two evaluations a query.
absl::StatusOr<TrainedAdapter> TrainAdapter(const AdapterQueries& queries, const EvaluateReading& evaluate,
                                            const AdapterTrainingOptions& options);

}  // namespace trivium::routing
