// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/graph_trainer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "routing/graph/code_learner.h"
#include "routing/graph/entry_learner.h"
#include "routing/graph/training_queries.h"
#include "routing/graph/untaught_graph.h"

namespace trivium::routing {
namespace {

// Rows asked as queries: those that are like the rows must not pay for the others.
constexpr std::size_t kRowQueries = 1000;
constexpr double kMostHarm = 1.01;
// Three quarters of the table; the others stay a sample, for what is asked for elsewhere. MiniLM questions:
// half of it learned takes 33.0 hops at recall 0.95, all of it 32.1, and a tenth more in domains that no
// training query asked for.
constexpr std::size_t kLearnedEntries = index::EdgeCodes::kEntryCount * 3 / 4;

// Vertices of `sampled`, spread evenly, until the table is full.
void AddSampled(const std::vector<std::uint32_t>& sampled, std::vector<std::uint32_t>* entries) {
  const std::size_t room = std::min(index::EdgeCodes::kEntryCount - entries->size(), sampled.size());
  for (std::size_t i = 0; i < room; ++i) entries->push_back(sampled[i * sampled.size() / room]);
  std::sort(entries->begin(), entries->end());
  entries->erase(std::unique(entries->begin(), entries->end()), entries->end());
}

// Rows spread evenly, decoded.
base::AlignedMatrix RowsAsQueries(const index::RowsView& rows) {
  const std::size_t count = std::min(kRowQueries, rows.rows);
  base::AlignedMatrix queries(count, rows.columns);
  for (std::size_t i = 0; i < count; ++i) rows.CopyRow(rows.rows * i / count, queries.row(i));
  return queries;
}

index::ProximityGraph OwnCopy(const index::ProximityGraph& graph) {
  index::ProximityGraph copy(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  copy.Resize(graph.size());
  return copy;
}

void Judge(GraphTrainingReport* report) {
  const HopRatio& queries = report->queries;
  const HopRatio& rows = report->rows;
  const bool pays = queries.interval.high < 1;
  const bool harms = rows.ratio > kMostHarm && rows.interval.low > 1;
  const bool loses = report->former && report->former->interval.low > 1;
  report->accepted = pays && !harms && !loses;
  report->reason = absl::StrFormat(
      "hops at equal recall %.1f against %.1f, ratio %.3f [%.3f, %.3f]%s; on rows %.3f [%.3f, %.3f]%s",
      queries.after, queries.before, queries.ratio, queries.interval.low, queries.interval.high,
      pays ? "" : " (not fewer)", rows.ratio, rows.interval.low, rows.interval.high,
      harms ? " (more than 1.01)" : "");
  if (!report->former) return;
  const HopRatio& former = *report->former;
  report->reason += absl::StrFormat("; %.3f [%.3f, %.3f] of those as trained before%s", former.ratio,
                                    former.interval.low, former.interval.high, loses ? " (more)" : "");
}

}  // namespace

absl::StatusOr<TrainedGraph> TrainGraph(const index::SearchableRows& given, base::MatrixView queries,
                                        const GraphTrainingOptions& options) {
  const bool trained_before = options.former != nullptr && !options.former->empty();
  base::AlignedMatrix together;
  if (trained_before && options.fine_tune) {
    together = JoinQueries(given.rows.columns, {options.former->queries, queries});
    queries = together.view();
  }
  if (queries.rows < kFewestTrainingQueries) {
    return absl::InvalidArgumentError(
        absl::StrFormat("training queries: %d, expected at least %d", queries.rows, kFewestTrainingQueries));
  }
  const int threads = options.thread_count;
  std::optional<UntaughtGraph> untaught;
  if (trained_before) untaught.emplace(given, options.former->edges, threads);
  const index::SearchableRows& searched = untaught ? untaught->searchable() : given;
  const QuerySplit split = SplitQueries(queries, options.validation_share, options.seed, threads);
  const base::AlignedMatrix own = RowsAsQueries(searched.rows);
  TRIVIUM_ASSIGN_OR_RETURN(const NearestDistances held_out,
                           ScanNearest(searched, split.validation.view(), threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const NearestDistances rows,
                           ScanNearest(searched, own.view(), threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts queries_before,
                           WalkCosts::Measure(searched, held_out, threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts rows_before,
                           WalkCosts::Measure(searched, rows, threads, options.cancelled));

  TrainedGraph trained;
  GraphTrainingReport& report = trained.report;
  report.training_queries = split.training.rows();
  report.validation_queries = split.validation.rows();
  TRIVIUM_ASSIGN_OR_RETURN(
      const QueryAnswers training,
      FindAnswers(searched, split.training.view(), options.answer_count, threads, options.cancelled));
  const bool has_codes = searched.edge_codes != nullptr;
  if (options.learn_entries && has_codes) {
    trained.entries = LearnEntries(searched.rows, training, kLearnedEntries, options.seed, threads);
    report.entries = trained.entries.size();
    AddSampled(searched.edge_codes->Entries(), &trained.entries);
  }
  const index::ProximityGraph& graph = *searched.graph;
  trained.graph = OwnCopy(graph);
  if (options.learn_edges) {
    EdgeLearningOptions edges = options.edges;
    edges.thread_count = threads;
    edges.progress = options.progress;
    edges.cancelled = options.cancelled;
    const std::vector<std::uint32_t> starts =
        trained.entries.empty() && has_codes ? searched.edge_codes->Entries() : trained.entries;
    TRIVIUM_ASSIGN_OR_RETURN(
        report.edges, LearnEdges(searched.rows, searched.metric, training, starts, edges, &trained.graph));
  } else if (options.progress) {  // whose callback may cancel
    options.progress(training.queries.rows, training.queries.rows);
  }

  index::SearchableRows taught = searched;
  taught.graph = &trained.graph;
  if (has_codes) {
    trained.codes.emplace(searched.rows.columns, searched.metric, graph.degree_bound());
    if (options.learn_codes) {
      trained.codes->SetSpread(LearnSpread(searched.rows.floats(), *searched.edge_codes, training));
      report.codes = true;
    }
    trained.codes->Update(searched.rows.floats(), trained.graph, threads);
    if (!trained.entries.empty()) trained.codes->SetEntries(searched.rows.floats(), trained.entries);
    taught.edge_codes = &*trained.codes;
  }
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts queries_after,
                           WalkCosts::Measure(taught, held_out, threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts rows_after,
                           WalkCosts::Measure(taught, rows, threads, options.cancelled));
  report.queries = CompareHops(queries_before, queries_after, options.recall, options.seed);
  report.rows = CompareHops(rows_before, rows_after, options.recall, options.seed);
  if (trained_before) {
    TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts former,
                             WalkCosts::Measure(given, held_out, threads, options.cancelled));
    report.former = CompareHops(former, queries_after, options.recall, options.seed);
  }
  trained.kept = KeepQueries(split, searched.rows.rows / kRowsAKeptQuery);
  trained.kept.SetEdges(index::FindLearnedEdges(graph, trained.graph));
  Judge(&report);
  return trained;
}

absl::StatusOr<TrainedGraph> TeachNewRows(const index::SearchableRows& searched,
                                          const index::KeptTraining& training, int thread_count,
                                          const std::atomic<bool>* cancelled) {
  const base::AlignedMatrix queries = JoinQueries(searched.rows.columns, {training.queries});
  const GraphTrainingOptions usual;
  TRIVIUM_ASSIGN_OR_RETURN(
      const QueryAnswers answers,
      FindAnswers(searched, queries.view(), usual.answer_count, thread_count, cancelled));
  TrainedGraph taught;
  taught.kept = training;
  taught.graph = OwnCopy(*searched.graph);
  EdgeLearningOptions edges = usual.edges;
  edges.rounds = 1;
  edges.known = training.edges;
  edges.thread_count = thread_count;
  edges.cancelled = cancelled;
  std::vector<std::uint32_t> starts;
  if (searched.edge_codes != nullptr) starts = searched.edge_codes->Entries();
  TRIVIUM_RETURN_IF_ERROR(
      LearnEdges(searched.rows, searched.metric, answers, starts, edges, &taught.graph).status());
  if (searched.edge_codes != nullptr) {
    taught.codes = searched.edge_codes->Borrow();
    taught.codes->Update(searched.rows.floats(), taught.graph, thread_count);
  }
  taught.kept.SetEdges(
      index::MergeLearnedEdges(training.edges, index::FindLearnedEdges(*searched.graph, taught.graph)));
  return taught;
}

}  // namespace trivium::routing
