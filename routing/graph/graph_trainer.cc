// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/graph_trainer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "routing/graph/edge_rounds.h"
#include "routing/graph/entry_learner.h"
#include "routing/graph/graph_judge.h"
#include "routing/graph/trainer_checkpoint.h"

namespace trivium::routing {
namespace {

constexpr float kTwinCosine = 0.95f;
// Rows asked as queries: those that are like the rows must not pay for the others.
constexpr std::size_t kRowQueries = 1000;
constexpr double kMostHarm = 1.01;
// Three quarters of the table; the others stay a sample, for what is asked for elsewhere. MiniLM questions:
// half of it learned takes 33.0 hops at recall 0.95, all of it 32.1, and a tenth more in domains that no
// training query asked for.
constexpr std::size_t kLearnedEntries = index::EdgeCodes::kEntryCount * 3 / 4;

struct Split {
  base::AlignedMatrix training, validation;
};

float Length(base::MatrixView rows, std::size_t i) {
  return std::sqrt(kernels::ActiveDistances().inner_product_f32(rows.row(i), rows.row(i), rows.columns));
}

// Some queries held out at random, the others without their near-identical twins.
Split SplitQueries(base::MatrixView queries, const GraphTrainingOptions& options) {
  std::vector<std::uint32_t> order(queries.rows);
  std::iota(order.begin(), order.end(), 0);
  base::Random(options.seed).Shuffle(order);
  const std::size_t held_out = std::clamp<std::size_t>(
      static_cast<std::size_t>(options.validation_share * static_cast<double>(queries.rows)), 1,
      kMostValidation);
  Split split{base::AlignedMatrix(queries.columns), base::AlignedMatrix(queries.columns)};
  std::vector<float> lengths;
  for (std::size_t i = 0; i < held_out; ++i) {
    split.validation.Append(queries.row(order[i]));
    lengths.push_back(Length(queries, order[i]));
  }
  std::vector<std::uint8_t> is_twin(queries.rows, 0);
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  base::ParallelFor(queries.rows - held_out, options.thread_count, 16, [&](std::size_t item, int) {
    const std::uint32_t query = order[held_out + item];
    const float length = Length(queries, query);
    for (std::size_t i = 0; i < held_out && is_twin[query] == 0; ++i) {
      const float product = inner_product(queries.row(query), split.validation.row(i), queries.columns);
      is_twin[query] = product >= kTwinCosine * length * lengths[i];
    }
  });
  for (std::size_t i = held_out; i < order.size(); ++i) {
    if (is_twin[order[i]] == 0) split.training.Append(queries.row(order[i]));
  }
  return split;
}

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
  report->accepted = pays && !harms;
  report->reason = absl::StrFormat(
      "hops at equal recall %.1f against %.1f, ratio %.3f [%.3f, %.3f]%s; on rows %.3f [%.3f, %.3f]%s",
      queries.after, queries.before, queries.ratio, queries.interval.low, queries.interval.high,
      pays ? "" : " (not fewer)", rows.ratio, rows.interval.low, rows.interval.high,
      harms ? " (more than 1.01)" : "");
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

absl::StatusOr<TrainedGraph> TrainGraph(const index::SearchableRows& searched, base::MatrixView queries,
                                        const GraphTrainingOptions& options) {
  if (queries.rows < kFewestTrainingQueries) {
    return absl::InvalidArgumentError(
        absl::StrFormat("training queries: %d, expected at least %d", queries.rows, kFewestTrainingQueries));
  }
  const int threads = options.thread_count;
  const Split split = SplitQueries(queries, options);
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

  Stage after(options, "gate", 2 * kCostWidths.size());
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts queries_after,
                           judge.Measure(trained.graph, held_out, after.Step()));
  TRIVIUM_ASSIGN_OR_RETURN(const WalkCosts rows_after, judge.Measure(trained.graph, rows, after.Step()));
  trained.codes = judge.TakeCodes();
  report.queries = CompareHops(queries_before, queries_after, options.recall, options.seed);
  report.rows = CompareHops(rows_before, rows_after, options.recall, options.seed);
  Judge(&report);
  return trained;
}

}  // namespace trivium::routing
