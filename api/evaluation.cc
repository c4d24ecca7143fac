// SPDX-License-Identifier: Apache-2.0
#include "api/evaluation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <string>

#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "routing/expert/ranking_metrics.h"

namespace trivium {
namespace {

constexpr std::size_t kComparedDepth = 10;  // comparison is by nDCG@10

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

QueryVectors VectorsOf(const Searcher& searcher, EncoderSet* encoders, const JudgedSet& judged, std::size_t i,
                       const PreparedQueries& prepared) {
  static const std::string no_text;
  QueryVectors vectors(&searcher.state(), encoders,
                       judged.set->texts.empty() ? &no_text : &judged.set->texts[judged.queries[i].row]);
  for (const auto& entry : prepared.entries) vectors.Set(entry.space, entry.rows.row(i));
  return vectors;
}

// Encoder calls that a single query would have made: one a space whose vector was needed and came from the
// text.
std::uint64_t EncodedAhead(const StoreState& state, const Answer& answer, const PreparedQueries& prepared) {
  std::set<std::uint32_t> needed;
  if (!answer.plan.router.empty()) needed.insert(state.dispatcher->space());
  for (const ExpertList& list : answer.lists) needed.insert(state.experts[list.expert].space);
  return static_cast<std::uint64_t>(std::count_if(
      prepared.entries.begin(), prepared.entries.end(),
      [&](const PreparedQueries::Entry& entry) { return entry.encoded && needed.count(entry.space) > 0; }));
}

// What one way of answering did for one query.
struct Outcome {
  double ndcg = 0;
  double experts = 0;
  double distances = 0;
};

// All ways of answering one query. Every expert is asked once; routers and oracles are read off those lists.
class QueryComparison {
 public:
  QueryComparison(const Searcher& searcher, const JudgedQuery& query)
      : searcher_(searcher), query_(query), depth_(kComparedDepth + query.own.size()) {}

  // Aligned with CompareAnswers' rows: routers, "all", "all_rrf", then one per expert.
  absl::Status Run(QueryVectors* vectors, SearcherScratch* scratch, std::vector<Outcome>* outcomes) {
    const StoreState& state = searcher_.state();
    std::vector<ExpertList> single;
    for (std::uint32_t e = 0; e < state.experts.size(); ++e) {
      TRIVIUM_RETURN_IF_ERROR(
          searcher_.SearchExperts(searcher_.PlanNamed({&e, 1}), depth_, vectors, scratch, &single));
      lists_.push_back(std::move(single.front()));
    }
    const Plan all = searcher_.PlanAll();
    std::vector<ExpertList> lists;
    TRIVIUM_RETURN_IF_ERROR(searcher_.SearchExperts(all, depth_, vectors, scratch, &lists));
    std::vector<const ExpertList*> everyone;
    for (const ExpertList& list : lists) everyone.push_back(&list);
    outcomes->clear();
    if (state.dispatcher != nullptr) {
      for (const Dispatcher::Entry& entry : state.dispatcher->entries()) {
        Plan plan;
        TRIVIUM_RETURN_IF_ERROR(searcher_.PlanRouted(entry, vectors, scratch, &plan));
        if (plan.dispatch.fell_back) {
          outcomes->push_back(Judge(all, everyone, routing::FusionMethod::kAuto, scratch));
          continue;
        }
        std::vector<ExpertList> mixed;
        if (!plan.readings.empty()) {
          TRIVIUM_RETURN_IF_ERROR(searcher_.SearchExperts(plan, depth_, vectors, scratch, &mixed));
        }
        std::vector<const ExpertList*> chosen;
        for (std::uint32_t e : plan.dispatch.chosen) chosen.push_back(&lists_[e]);
        for (std::size_t i = 0; i < mixed.size(); ++i) chosen[i] = &mixed[i];
        outcomes->push_back(Judge(plan, chosen, routing::FusionMethod::kAuto, scratch));
      }
    }
    outcomes->push_back(Judge(all, everyone, routing::FusionMethod::kAuto, scratch));
    outcomes->push_back(Judge(all, everyone, routing::FusionMethod::kReciprocalRank, scratch));
    for (std::uint32_t e = 0; e < state.experts.size(); ++e) {
      outcomes->push_back(
          Judge(searcher_.PlanNamed({&e, 1}), {&lists_[e]}, routing::FusionMethod::kAuto, scratch));
    }
    return absl::OkStatus();
  }

 private:
  Outcome Judge(const Plan& plan, const std::vector<const ExpertList*>& lists, routing::FusionMethod method,
                SearcherScratch* scratch) {
    searcher_.Fuse(plan, lists, depth_, method, scratch, &hits_);
    RankedKeys(hits_, query_, kComparedDepth, &keys_);
    Outcome outcome;
    outcome.ndcg = routing::NdcgAt(kComparedDepth, keys_, query_.judgements);
    std::set<std::uint32_t> sets;
    std::set<std::pair<std::uint32_t, const void*>> searched;  // experts that share a search pay for it once
    for (const ExpertList* list : lists) {
      const ExpertView& expert = searcher_.state().experts[list->expert];
      for (const auto& [set, distances] : list->by_set) {
        sets.insert(set);
        const void* adapter = plan.plain || !plan.readings.empty()
                                  ? nullptr
                                  : AdapterInUse(expert, searcher_.options().adapters);
        if (searched.emplace(set, adapter).second) outcome.distances += static_cast<double>(distances);
      }
    }
    outcome.experts = static_cast<double>(sets.size());
    return outcome;
  }

  const Searcher& searcher_;
  const JudgedQuery& query_;
  std::size_t depth_;
  std::vector<ExpertList> lists_;  // by expert
  std::vector<routing::FusedHit> hits_;
  std::vector<std::uint64_t> keys_;
};

ComparisonRow MeanRow(std::string name, const std::vector<std::vector<Outcome>>& outcomes,
                      std::size_t column) {
  ComparisonRow row;
  row.name = std::move(name);
  for (const std::vector<Outcome>& query : outcomes) {
    row.ndcg_at_10 += query[column].ndcg;
    row.experts_per_query += query[column].experts;
    row.distance_computations_per_query += query[column].distances;
  }
  const double count = std::max<double>(1, static_cast<double>(outcomes.size()));
  row.ndcg_at_10 /= count;
  row.experts_per_query /= count;
  row.distance_computations_per_query /= count;
  return row;
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
    QueryVectors vectors = VectorsOf(searcher, encoders, judged, i, prepared);
    Answer answer;
    const auto start = std::chrono::steady_clock::now();
    TRIVIUM_RETURN_IF_ERROR(searcher.Run(&vectors, &scratch, &answer));
    QueryOutcome outcome;
    outcome.latency_us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
    latencies.push_back(outcome.latency_us);
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

absl::StatusOr<std::vector<ComparisonRow>> CompareAnswers(const Searcher& searcher, EncoderSet* encoders,
                                                          const JudgedSet& judged,
                                                          const PreparedQueries& prepared, int thread_count) {
  const StoreState& state = searcher.state();
  std::vector<std::vector<Outcome>> outcomes(judged.queries.size());
  std::vector<SearcherScratch> scratch(thread_count);
  std::vector<absl::Status> failures(thread_count);
  base::ParallelFor(judged.queries.size(), thread_count, 4, [&](std::size_t i, int thread) {
    if (!failures[thread].ok()) return;
    QueryVectors vectors = VectorsOf(searcher, encoders, judged, i, prepared);
    failures[thread] =
        QueryComparison(searcher, judged.queries[i]).Run(&vectors, &scratch[thread], &outcomes[i]);
  });
  for (const absl::Status& failure : failures) TRIVIUM_RETURN_IF_ERROR(failure);

  std::vector<ComparisonRow> rows;
  std::size_t column = 0;
  if (state.dispatcher != nullptr) {
    for (const Dispatcher::Entry& entry : state.dispatcher->entries()) {
      rows.push_back(MeanRow(entry.settings.router, outcomes, column++));
    }
  }
  rows.push_back(MeanRow("all", outcomes, column++));
  rows.push_back(MeanRow("all_rrf", outcomes, column++));
  // The one expert that is best for this set, and the one that is best for each query; what it costs to ask
  // it.
  ComparisonRow domain, instance;
  domain.ndcg_at_10 = -1;
  for (std::size_t e = 0; e < state.experts.size(); ++e) {
    ComparisonRow row = MeanRow("domain_oracle", outcomes, column + e);
    if (row.ndcg_at_10 > domain.ndcg_at_10) domain = std::move(row);
  }
  for (std::vector<Outcome>& query : outcomes) {
    query[column] = *std::max_element(query.begin() + static_cast<std::ptrdiff_t>(column), query.end(),
                                      [](const Outcome& a, const Outcome& b) {
                                        return a.ndcg != b.ndcg ? a.ndcg < b.ndcg : a.distances > b.distances;
                                      });
  }
  instance = MeanRow("instance_oracle", outcomes, column);
  rows.push_back(std::move(domain));
  rows.push_back(std::move(instance));
  return rows;
}

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
    macro.compare.resize(set.compare.size());
    for (std::size_t i = 0; i < set.compare.size(); ++i) {
      ComparisonRow& row = macro.compare[i];
      row.name = set.compare[i].name;
      row.ndcg_at_10 += set.compare[i].ndcg_at_10 / count;
      row.experts_per_query += set.compare[i].experts_per_query / count;
      row.distance_computations_per_query += set.compare[i].distance_computations_per_query / count;
    }
  }
  SetLatencies(latencies, &macro);
  return macro;
}

}  // namespace trivium
