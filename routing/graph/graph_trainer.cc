// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/graph_trainer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "routing/graph/code_learner.h"
#include "routing/graph/edge_rounds.h"
#include "routing/graph/entry_learner.h"
#include "routing/graph/graph_judge.h"
#include "routing/graph/trainer_checkpoint.h"
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

// Tells how far one stage is.
class Stage {
 public:
  Stage(const GraphTrainingOptions& options, const char* name, std::size_t total)
      : options_(options), name_(name), total_(total) {
    Tell(0);
  }
  void Tell(std::size_t done) const {
    if (options_.progress) options_.progress(name_, done, total_);
  }
  std::function<void()> Step() {
    return [this] { Tell(++done_); };
  }

 private:
  const GraphTrainingOptions& options_;
  const char* name_;
  std::size_t done_ = 0, total_;
};

absl::Status CheckCancelled(const GraphTrainingOptions& options) {
  return options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)
             ? absl::CancelledError("graph training: cancelled by the caller")
             : absl::OkStatus();
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
  TrainingCheckpoint known;
  std::uint64_t fingerprint = 0;
  if (!options.checkpoint.empty()) {
    fingerprint = TrainingFingerprint(searched, queries, options);
    const std::size_t answer_count =
        split.training.rows() * std::min(options.answer_count, searched.rows.rows);
    TRIVIUM_ASSIGN_OR_RETURN(auto saved,
                             LoadCheckpoint(options.checkpoint, fingerprint, *searched.graph, answer_count));
    if (saved) known = *std::move(saved);
  }

  Stage before(options, "measure", 2 * kCostWidths.size());
  const base::AlignedMatrix own = RowsAsQueries(searched.rows);
  TRIVIUM_ASSIGN_OR_RETURN(const NearestDistances held_out,
                           ScanNearest(searched, split.validation.view(), threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const NearestDistances rows,
                           ScanNearest(searched, own.view(), threads, options.cancelled));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts queries_before,
                           WalkCosts::Measure(searched, held_out, threads, options.cancelled, before.Step()));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts rows_before,
                           WalkCosts::Measure(searched, rows, threads, options.cancelled, before.Step()));

  TrainedGraph trained;
  GraphTrainingReport& report = trained.report;
  report.training_queries = split.training.rows();
  report.validation_queries = split.validation.rows();
  QueryAnswers training;
  const Stage answering(options, "answers", split.training.rows());
  if (known.answers.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(
        training,
        FindAnswers(searched, split.training.view(), options.answer_count, threads, options.cancelled,
                    [&](std::size_t done, std::size_t) { answering.Tell(done); }));
    if (!options.checkpoint.empty()) {
      TRIVIUM_RETURN_IF_ERROR(SaveCheckpoint(options.checkpoint, fingerprint, training.answers, nullptr));
    }
  } else {
    training = {split.training.view(), std::min(options.answer_count, searched.rows.rows),
                std::move(known.answers)};
    answering.Tell(split.training.rows());
  }
  const bool has_codes = searched.edge_codes != nullptr;
  if (options.learn_entries && has_codes) {
    const Stage clustering(options, "entries", 1);
    trained.entries = LearnEntries(searched.rows, training, kLearnedEntries, options.seed, threads);
    report.entries = trained.entries.size();
    AddSampled(searched.edge_codes->Entries(), &trained.entries);
    clustering.Tell(1);
  }
  TRIVIUM_RETURN_IF_ERROR(CheckCancelled(options));
  GraphJudge judge(searched, trained.entries, threads, options.cancelled);
  EdgeRounds rounds = known.rounds ? *std::move(known.rounds) : EdgeRounds(*searched.graph);
  if (options.learn_edges) {
    EdgeLearningOptions edges = options.edges;
    edges.thread_count = threads;
    edges.cancelled = options.cancelled;
    const std::size_t walks = training.queries.rows * edges.rounds;
    const Stage learning(options, "edges", walks);
    edges.progress = [&](std::size_t done, std::size_t) { learning.Tell(done); };
    const std::vector<std::uint32_t> starts =
        trained.entries.empty() && has_codes ? searched.edge_codes->Entries() : trained.entries;
    const auto ratio = [&](const index::ProximityGraph& graph) -> absl::StatusOr<double> {
      const auto still = [&] { learning.Tell((rounds.curve.size() + 1) * training.queries.rows); };
      TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts costs, judge.Measure(graph, held_out, still));
      return CompareHops(queries_before, costs, options.recall, options.seed).ratio;
    };
    const auto save = [&](const EdgeRounds& done) {
      return options.checkpoint.empty()
                 ? absl::OkStatus()
                 : SaveCheckpoint(options.checkpoint, fingerprint, training.answers, &done);
    };
    TRIVIUM_RETURN_IF_ERROR(
        LearnInRounds(searched.rows, searched.metric, training, starts, edges, ratio, save, &rounds));
    learning.Tell(walks);
  }
  report.curve = rounds.curve;
  report.edges = rounds.best_edges;
  trained.graph = rounds.curve.empty() ? std::move(rounds.learning.graph) : std::move(rounds.best);

  if (options.learn_codes && has_codes) {
    const Stage spreading(options, "codes", 1);
    judge.UseSpread(LearnSpread(searched.rows.floats(), *searched.edge_codes, training));
    report.codes = true;
    spreading.Tell(1);
  }
  TRIVIUM_RETURN_IF_ERROR(CheckCancelled(options));
  Stage after(options, "gate", 2 * kCostWidths.size());
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts queries_after,
                           judge.Measure(trained.graph, held_out, after.Step()));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts rows_after, judge.Measure(trained.graph, rows, after.Step()));
  trained.codes = judge.TakeCodes();
  report.queries = CompareHops(queries_before, queries_after, options.recall, options.seed);
  report.rows = CompareHops(rows_before, rows_after, options.recall, options.seed);
  if (trained_before) {
    TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts former,
                             WalkCosts::Measure(given, held_out, threads, options.cancelled));
    report.former = CompareHops(former, queries_after, options.recall, options.seed);
  }
  Judge(&report);
  trained.kept = KeepQueries(split, searched.rows.rows / kRowsAKeptQuery);
  trained.kept.SetEdges(index::FindLearnedEdges(*searched.graph, trained.graph));
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
  EdgeLearningOptions edges = usual.edges;
  edges.thread_count = thread_count;
  edges.cancelled = cancelled;
  std::vector<std::uint32_t> starts;
  if (searched.edge_codes != nullptr) starts = searched.edge_codes->Entries();
  EdgeLearning learning(*searched.graph);
  learning.Protect(training.edges);
  TRIVIUM_RETURN_IF_ERROR(LearnRound(searched.rows, searched.metric, answers, starts, edges, &learning));
  TrainedGraph taught;
  taught.graph = learning.Reachable(searched.rows, searched.metric);
  if (searched.edge_codes != nullptr) {
    taught.codes = searched.edge_codes->Borrow();
    taught.codes->Update(searched.rows.floats(), taught.graph, thread_count);
  }
  taught.kept = training;
  taught.kept.SetEdges(
      index::MergeLearnedEdges(training.edges, index::FindLearnedEdges(*searched.graph, taught.graph)));
  return taught;
}

}  // namespace trivium::routing
