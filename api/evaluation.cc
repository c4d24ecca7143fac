// SPDX-License-Identifier: Apache-2.0
#include "api/evaluation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <set>
#include <string>

#include "base/status_macros.h"
#include "routing/expert/ranking_metrics.h"

namespace trivium {
namespace {

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(std::ceil(share * static_cast<double>(values.size()))) - 1;
  const auto nth = values.begin() + std::clamp<std::ptrdiff_t>(rank, 0, std::ssize(values) - 1);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

void SetLatencies(const std::vector<double>& latencies, SetMetrics* metrics) {
  metrics->latency_p50_us = Percentile(latencies, 0.50);
  metrics->latency_p95_us = Percentile(latencies, 0.95);
  metrics->latency_p99_us = Percentile(latencies, 0.99);
}

// Encoder calls that a single query would have made: one a space whose vector was needed and came from the
// text.
std::uint64_t EncodedAhead(const StoreState& state, const Answer& answer, const PreparedQueries& prepared) {
  std::set<std::uint32_t> needed;
  if (!answer.plan.router.empty() && state.dispatcher != nullptr) needed.insert(state.dispatcher->space());
  for (const ExpertList& list : answer.lists) needed.insert(state.experts[list.expert].space);
  return static_cast<std::uint64_t>(std::count_if(
      prepared.entries.begin(), prepared.entries.end(),
      [&](const PreparedQueries::Entry& entry) { return entry.encoded && needed.count(entry.space) > 0; }));
}

}  // namespace

absl::StatusOr<SetMetrics> MeasureSet(const Searcher& searcher, EncoderSet* encoders, const JudgedSet& judged,
                                      const PreparedQueries& prepared, const EvaluateOptions& options) {
  const StoreState& state = searcher.state();
  SetMetrics metrics;
  metrics.name = judged.set->name;
  metrics.queries = judged.queries.size();
  metrics.skipped_queries = judged.skipped_queries;
  metrics.unknown_judgements = judged.unknown_judgements;
  SearcherScratch scratch;
  std::vector<std::uint64_t> keys;
  std::vector<double> latencies;
  for (std::size_t i = 0; i < judged.queries.size(); ++i) {
    const JudgedQuery& query = judged.queries[i];
    QueryVectors vectors = JudgedVectors(state, encoders, judged, i, prepared);
    Answer answer;
    const auto start = std::chrono::steady_clock::now();
    TRIVIUM_RETURN_IF_ERROR(searcher.Run(&vectors, &scratch, &answer));
    QueryOutcome outcome;
    outcome.latency_us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    latencies.push_back(outcome.latency_us);
    metrics.rejected_queries += answer.plan.rejected ? 1 : 0;
    RankedKeys(answer.hits, query, options.depth, &keys);
    if (!judged.set->ids.empty()) outcome.id = judged.set->ids[query.row];
    outcome.ndcg_at_10 = routing::NdcgAt(10, keys, query.judgements);
    outcome.recall_at_10 = routing::RecallAt(10, keys, query.judgements);
    outcome.recall_at_100 = routing::RecallAt(100, keys, query.judgements);
    outcome.mrr_at_10 = routing::ReciprocalRankAt(10, keys, query.judgements);
    metrics.ndcg_at_10 += outcome.ndcg_at_10;
    metrics.recall_at_10 += outcome.recall_at_10;
    metrics.recall_at_100 += outcome.recall_at_100;
    metrics.mrr_at_10 += outcome.mrr_at_10;
    metrics.encoder_calls_per_query +=
        static_cast<double>(vectors.encoder_calls() + EncodedAhead(state, answer, prepared));
    for (const ExpertList& list : answer.lists) {
      outcome.experts.push_back(state.experts[list.expert].name);
      outcome.probabilities.push_back(answer.plan.dispatch.experts[list.expert].probability);
      outcome.distance_computations += list.counters.distances();
      outcome.bytes_read += list.counters.bytes_read;
      metrics.distances["graph"] += static_cast<double>(list.counters.graph_distances);
      metrics.distances["scan"] += static_cast<double>(list.counters.scan_distances);
      metrics.distances["code"] += static_cast<double>(list.counters.code_distances);
      metrics.experts_per_query += list.vector_sets;
      metrics.searches_per_query += list.searches;
    }
    metrics.distance_computations_per_query += static_cast<double>(outcome.distance_computations);
    metrics.bytes_read_per_query += static_cast<double>(outcome.bytes_read);
    std::size_t rank = 0;
    for (const routing::FusedHit& hit : answer.hits) {
      if (!options.keep_runs || rank == keys.size()) break;
      if (hit.key != keys[rank]) continue;  // the query's own document
      ++rank;
      const DocumentDirectory::Entry& entry = *state.documents.Find(hit.key);
      outcome.ids.push_back(entry.id);
      outcome.partitions.push_back(state.schema.PartitionById(entry.partition)->name);
      outcome.scores.push_back(hit.score);
    }
    metrics.outcomes.push_back(std::move(outcome));
    if (options.progress && i % 64 == 0) options.progress("evaluate", i, judged.queries.size());
  }
  SetLatencies(latencies, &metrics);
  const double count = std::max<double>(1, static_cast<double>(metrics.queries));
  for (double* mean :
       {&metrics.ndcg_at_10, &metrics.recall_at_10, &metrics.recall_at_100, &metrics.mrr_at_10,
        &metrics.experts_per_query, &metrics.distance_computations_per_query, &metrics.bytes_read_per_query,
        &metrics.searches_per_query, &metrics.encoder_calls_per_query}) {
    *mean /= count;
  }
  for (auto& [kind, total] : metrics.distances) total /= count;
  return metrics;
}

absl::StatusOr<std::uint64_t> CountSkippedRejected(const Searcher& searcher, EncoderSet* encoders,
                                                   const JudgedSet& judged) {
  const StoreState& state = searcher.state();
  const bool guarded = searcher.options().experts.mode == ExpertSelection::Mode::kAuto &&
                       !searcher.options().route && state.dispatcher != nullptr &&
                       state.dispatcher->guard() != nullptr && state.schema.dispatch->guard->report.enabled;
  if (!guarded || judged.skipped_queries == 0) return 0;
  std::vector<bool> counted(judged.set->size(), false);
  for (const JudgedQuery& query : judged.queries) counted[query.row] = true;
  JudgedSet skipped;
  skipped.set = judged.set;
  for (std::size_t row = 0; row < counted.size(); ++row) {
    if (counted[row]) continue;
    skipped.queries.emplace_back();
    skipped.queries.back().row = row;
  }
  TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared, PrepareJudged(state, encoders, skipped));
  PlannerScratch scratch;
  Plan plan;
  std::uint64_t rejected = 0;
  for (std::size_t i = 0; i < skipped.queries.size(); ++i) {
    QueryVectors vectors = JudgedVectors(state, encoders, skipped, i, prepared);
    TRIVIUM_RETURN_IF_ERROR(searcher.planner().Choose(&vectors, &scratch, &plan));
    rejected += plan.rejected ? 1 : 0;
  }
  return rejected;
}

void AddCleanMetrics(const std::vector<bool>& clean, SetMetrics* metrics) {
  CleanMetrics& sums = metrics->clean.emplace();
  for (std::size_t i = 0; i < clean.size(); ++i) {
    QueryOutcome& outcome = metrics->outcomes[i];
    outcome.clean = clean[i];
    if (!clean[i]) continue;
    ++sums.queries;
    sums.ndcg_at_10 += outcome.ndcg_at_10;
    sums.recall_at_10 += outcome.recall_at_10;
    sums.recall_at_100 += outcome.recall_at_100;
    sums.mrr_at_10 += outcome.mrr_at_10;
  }
  sums.sets = sums.queries > 0 ? 1 : 0;
  const double count = std::max<double>(1, static_cast<double>(sums.queries));
  for (double* mean : {&sums.ndcg_at_10, &sums.recall_at_10, &sums.recall_at_100, &sums.mrr_at_10}) {
    *mean /= count;
  }
}

namespace {

// Over the sets that have clean queries; none where nobody asked for them.
std::optional<CleanMetrics> MacroClean(const std::vector<SetMetrics>& sets) {
  if (sets.empty() || !sets.front().clean) return std::nullopt;
  CleanMetrics macro;
  for (const SetMetrics& set : sets) macro.sets += set.clean->sets;
  const double count = std::max<double>(1, static_cast<double>(macro.sets));
  for (const SetMetrics& set : sets) {
    macro.queries += set.clean->queries;
    macro.ndcg_at_10 += set.clean->ndcg_at_10 / count;
    macro.recall_at_10 += set.clean->recall_at_10 / count;
    macro.recall_at_100 += set.clean->recall_at_100 / count;
    macro.mrr_at_10 += set.clean->mrr_at_10 / count;
  }
  return macro;
}

}  // namespace

SetMetrics MacroAverage(const std::vector<SetMetrics>& sets) {
  SetMetrics macro;
  macro.name = "macro";
  std::vector<double> latencies;
  const auto judged =
      std::count_if(sets.begin(), sets.end(), [](const SetMetrics& set) { return set.queries > 0; });
  const double count = std::max<double>(1, static_cast<double>(judged));
  for (const SetMetrics& set : sets) {
    macro.queries += set.queries;
    macro.skipped_queries += set.skipped_queries;
    macro.unknown_judgements += set.unknown_judgements;
    macro.rejected_queries += set.rejected_queries;
    macro.skipped_rejected_queries += set.skipped_rejected_queries;
    if (set.queries == 0) continue;  // nothing to average
    macro.ndcg_at_10 += set.ndcg_at_10 / count;
    macro.recall_at_10 += set.recall_at_10 / count;
    macro.recall_at_100 += set.recall_at_100 / count;
    macro.mrr_at_10 += set.mrr_at_10 / count;
    macro.experts_per_query += set.experts_per_query / count;
    macro.distance_computations_per_query += set.distance_computations_per_query / count;
    macro.bytes_read_per_query += set.bytes_read_per_query / count;
    macro.searches_per_query += set.searches_per_query / count;
    macro.encoder_calls_per_query += set.encoder_calls_per_query / count;
    for (const auto& [kind, mean] : set.distances) macro.distances[kind] += mean / count;
    for (const QueryOutcome& outcome : set.outcomes) latencies.push_back(outcome.latency_us);
  }
  macro.clean = MacroClean(sets);
  SetLatencies(latencies, &macro);
  return macro;
}

}  // namespace trivium
