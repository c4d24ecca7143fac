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
#include "routing/graph/code_learner.h"
#include "routing/graph/entry_learner.h"

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

}  // namespace

absl::StatusOr<TrainedGraph> TrainGraph(const index::SearchableRows& searched, base::MatrixView queries,
                                        const GraphTrainingOptions& options) {
  if (queries.rows < kFewestTrainingQueries) {
    return absl::InvalidArgumentError(
        absl::StrFormat("training queries: %d, expected at least %d", queries.rows, kFewestTrainingQueries));
  }
  const int threads = options.thread_count;
  const Split split = SplitQueries(queries, options);
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
  trained.graph = index::ProximityGraph(graph.words(), graph.size(), graph.degree_bound(), graph.entry());
  trained.graph.Resize(graph.size());  // makes it its own
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
    trained.codes->SetSpread(options.learn_codes
                                 ? LearnSpread(searched.rows.floats(), *searched.edge_codes, training)
                                 : searched.edge_codes->spread());
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
  Judge(&report);
  return trained;
}

}  // namespace trivium::routing
