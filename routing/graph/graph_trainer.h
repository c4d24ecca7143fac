// SPDX-License-Identifier: Apache-2.0
// Learns the entries and edges of a graph from queries and says whether they pay: on queries held out, and
// without harm to queries that are like the rows.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "index/edge_codes.h"
#include "index/graph_search.h"
#include "index/kept_training.h"
#include "index/proximity_graph.h"
#include "routing/graph/edge_learner.h"
#include "routing/graph/training_queries.h"
#include "routing/graph/walk_costs.h"

namespace trivium::routing {

// Fewer queries teach nothing that could be shown on a part held out.
inline constexpr std::size_t kFewestTrainingQueries = 100;
// A smaller graph is walked in no time.
inline constexpr std::size_t kSmallestTrainedGraph = 2048;

struct GraphTrainingOptions {
  bool learn_entries = true;  // only where there are edge codes, which hold them
  bool learn_edges = true;
  bool learn_codes = true;        // likewise
  std::size_t answer_count = 32;  // true neighbours of a query that shall lead to each other
  EdgeLearningOptions edges;      // its thread_count, progress and cancelled are ignored
  double validation_share = 0.2;  // of the queries, at most kMostValidation, held out for the gate
  double recall = 0.95;           // at which hops are compared
  // What taught the graph before, or null: it is undone first. With `fine_tune` its queries are asked again,
  // with the new ones.
  const index::KeptTraining* former = nullptr;
  bool fine_tune = false;
  std::uint64_t seed = 0;
  int thread_count = 1;
  // Of the stages "measure", "answers", "entries", "edges", "codes" and "gate", in this order; on the calling
  // thread.
  std::function<void(std::string_view stage, std::size_t done, std::size_t total)> progress;
  const std::atomic<bool>* cancelled = nullptr;
  // Of a file that is written after the answers and each round, and from which the same training goes on;
  // empty: none. It stays: the caller removes it once what was learned is safe.
  std::string checkpoint;
};

// So that what is kept stays small beside the rows: at 384 dimensions, 5 % of them with their blocks.
inline constexpr std::size_t kRowsAKeptQuery = 8;

struct GraphTrainingReport {
  std::size_t training_queries = 0;  // without near-identical twins (cosine 0.95) of one held out
  std::size_t validation_queries = 0;
  std::size_t entries = 0;  // learned
  LearnedEdges edges;
  bool codes = false;              // whether codes of edges were learned
  std::vector<double> curve;       // trained over untrained after each round of edges; the best one was kept
  HopRatio queries;                // trained over untrained, on the queries held out
  HopRatio rows;                   // likewise, on rows of the graph as queries
  std::optional<HopRatio> former;  // trained over trained before, on the queries held out
  bool accepted = false;
  std::string reason;  // one line
};

struct TrainedGraph {
  index::ProximityGraph graph;
  std::vector<std::uint32_t> entries;     // none: where none were learned
  std::optional<index::EdgeCodes> codes;  // of the graph and entries, where `searched` had some
  index::KeptTraining kept;               // without its record; at most a query for kRowsAKeptQuery rows
  GraphTrainingReport report;
};

// Trains a copy of the graph of `searched`, which has kSmallestTrainedGraph vertices or more over all its
// rows. The gate accepts where hops on the queries held out are fewer, by the whole of their interval, those
// on rows not more than 1 % more, or not surely more, and those of the graph as it was trained before not
// surely fewer. The best of a few rounds is chosen on the same
// queries held out, which flatters it by less than what rounds differ in.
//
//   queries  n x dimension, finite; of unit length for the cosine metric
//
// kInvalidArgument: fewer than kFewestTrainingQueries. kCancelled. kFailedPrecondition: a checkpoint of
// another training; kDataLoss: a damaged one.
// Deterministic for one thread count and any other. Memory: four graphs, the codes and 130 bytes a query.
// Cost: see the parts; 17,500 queries at 160,955 x 384 take 67 s on two threads, 40 of
// them for codes.
absl::StatusOr<TrainedGraph> TrainGraph(const index::SearchableRows& searched, base::MatrixView queries,
                                        const GraphTrainingOptions& options);

// A graph that has grown since `training` taught it, taught what leads to its new rows by the queries that
// were kept: its edges, not where walks start. No gate, no report; training.edges are those of before and the
// new ones. kCancelled. Deterministic for any thread count. Cost: about 0.5 ms a query at 160,955 x 384.
absl::StatusOr<TrainedGraph> TeachNewRows(const index::SearchableRows& searched,
                                          const index::KeptTraining& training, int thread_count,
                                          const std::atomic<bool>* cancelled = nullptr);

}  // namespace trivium::routing
