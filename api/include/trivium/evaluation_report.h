// SPDX-License-Identifier: Apache-2.0
// What an evaluation found: metrics, and with EvaluateOptions::compare those of other ways of answering.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace trivium {

// A figure with its 95 % interval, from 1,000 rounds of a paired bootstrap that resamples queries within
// their sets. NaN: not measured, or not defined.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double low = std::numeric_limits<double>::quiet_NaN();
  double high = std::numeric_limits<double>::quiet_NaN();
};

// One way of answering on the clean queries.
struct CleanComparison {
  double ndcg_at_10 = 0;
  Estimate gain;
};

// One way of answering, measured.
struct ComparisonRow {
  std::string name;  // a router, "auto", "named", "all", "all_adapted", "all_rrf", "domain_oracle", ...
  double ndcg_at_10 = 0;
  double experts_per_query = 0;
  double distance_computations_per_query = 0;  // NaN: not counted (while training)
  Estimate gain;                               // nDCG@10 minus that of "all"
  Estimate oracle_share;                       // `gain` over that of "instance_oracle"
  std::optional<CleanComparison> clean;        // with EvaluateOptions::training
};

// How well one router knows whom to ask. Its first expert is the most probable one that it chose. Shares are
// of the queries of all sets together.
struct RouterMetrics {
  std::string name;
  std::uint64_t queries = 0;  // for which it chose; for the others it knew nothing, and everybody is asked
  // Shares of these whose first expert holds a relevant document, and of those of these that any expert
  // answers (nDCG@10 above 0) whose first expert answers best by itself (ties are best). Calibration: the
  // expected calibration error of the first expert's probability as a forecast of either event, in 15 bins of
  // equally many queries.
  double holds_relevant = 0, best = 0;
  double holds_relevant_calibration_error = 0, best_calibration_error = 0;
  // Share of the queries with an encoded text whose first expert changes when the text gets
  // EvaluateOptions::typos edits. NaN: no query has one, or no edits were asked for.
  double route_flips = std::numeric_limits<double>::quiet_NaN();
  // Average nDCG@10 over budgets from nothing to what "all" costs, in distances and in experts: the area
  // under the concave hull of `budgets` and the router's own row, costs as shares of that of "all".
  //
  // Source:  Hu et al. 2024 (RouterBench), AIQ.
  // Differs: the hull begins at cost 0 with quality 0 (nobody asked) and ends at the cost of "all", for all
  //          routers alike, instead of at the cheapest and the dearest point seen.
  double aiq_distances = 0, aiq_experts = 0;
  std::vector<ComparisonRow> budgets;  // "max_experts=1", ..., "top_p=0.9"; without intervals
};

struct QueryOutcome {
  std::string id;
  double ndcg_at_10 = 0, recall_at_10 = 0, recall_at_100 = 0, mrr_at_10 = 0;
  double latency_us = 0;
  std::uint64_t distance_computations = 0;
  std::uint64_t bytes_read = 0;       // of the index, as in Trace
  std::vector<std::string> experts;   // chosen
  std::vector<double> probabilities;  // of these: by the router, else equal shares
  std::optional<bool> clean;          // with EvaluateOptions::training
  std::vector<double> compared;       // nDCG@10 of each row of SetMetrics::compare
  std::vector<std::string> ids;       // hits, best first; with keep_runs
  std::vector<std::string> partitions;
  std::vector<float> scores;
};

// Metrics over the queries that share nothing with training.
struct CleanMetrics {
  std::uint64_t sets = 0;  // that have such queries
  std::uint64_t queries = 0;
  double ndcg_at_10 = 0, recall_at_10 = 0, recall_at_100 = 0, mrr_at_10 = 0;
};

struct SetMetrics {
  std::string name;
  std::uint64_t queries = 0;          // with at least one positive judgement
  std::uint64_t skipped_queries = 0;  // the others
  // Of either, those that the guard rejected, whatever `on_reject` answered. The skipped ones say how well it
  // knows queries that need no retrieval, where they are such queries.
  std::uint64_t rejected_queries = 0, skipped_rejected_queries = 0;
  std::uint64_t unknown_judgements = 0;
  double ndcg_at_10 = 0, recall_at_10 = 0, recall_at_100 = 0, mrr_at_10 = 0;
  std::optional<CleanMetrics> clean;  // with EvaluateOptions::training
  double experts_per_query = 0;       // distinct vector sets searched
  double distance_computations_per_query = 0;
  std::map<std::string, double> distances;  // per query, by kind
  double bytes_read_per_query = 0;
  double searches_per_query = 0;
  double encoder_calls_per_query = 0;
  double latency_p50_us = 0, latency_p95_us = 0, latency_p99_us = 0;
  std::vector<ComparisonRow> compare;
  std::vector<QueryOutcome> outcomes;  // one a counted query
};

struct EvaluationReport {
  std::vector<SetMetrics> sets;
  SetMetrics macro;                    // mean over sets; counts are sums, latencies over all queries
  std::vector<RouterMetrics> routers;  // with EvaluateOptions::compare: one a trained router
};

}  // namespace trivium
