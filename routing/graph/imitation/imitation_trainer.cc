// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/imitation_trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/row_distances.h"
#include "routing/graph/imitation/budgeted_search.h"
#include "routing/graph/imitation/hop_oracle.h"
#include "routing/graph/imitation/imitation_batch.h"
#include "routing/graph/imitation/imitation_loss.h"
#include "routing/graph/imitation/optimizers.h"
#include "routing/graph/imitation/projected_start.h"

namespace trivium::routing {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Queries on which the first scale of the scores is chosen.
constexpr std::size_t kScaleSample = 256;
// The last learning rate as a share of the first.
constexpr double kLastRate = 0.1;

absl::Status OutOfRange(absl::string_view name, double seen, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(name, ": ", seen, ", expected ", expected));
}

absl::Status CheckQueries(absl::string_view which, const AnsweredQueries& queries, std::size_t dimension,
                          std::size_t vertex_count) {
  const std::size_t count = queries.queries.rows;
  if (count == 0) {
    return absl::InvalidArgumentError(absl::StrCat(which, " queries: 0, expected at least 1"));
  }
  if (queries.queries.columns != dimension) {
    return absl::InvalidArgumentError(
        absl::StrCat(which, " query dimension: ", queries.queries.columns, ", expected ", dimension));
  }
  if (queries.targets_per_query == 0 || queries.targets.size() != count * queries.targets_per_query) {
    return absl::InvalidArgumentError(absl::StrCat(which, " targets: ", queries.targets.size(), ", expected ",
                                                   count, " x ", queries.targets_per_query));
  }
  if (!queries.hidden.empty() && queries.hidden.size() != count) {
    return absl::InvalidArgumentError(
        absl::StrCat(which, " hidden vertices: ", queries.hidden.size(), ", expected ", count, " or none"));
  }
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < dimension; ++j) {
      if (!std::isfinite(queries.queries.row(i)[j])) {
        return absl::InvalidArgumentError(absl::StrCat(which, " query ", i, ": ", queries.queries.row(i)[j],
                                                       " at ", j, ", expected finite numbers"));
      }
    }
    const auto targets = queries.TargetsOf(i);
    for (const std::uint32_t target : targets) {
      if (target >= vertex_count && (target != HopOracle::kNoVertex || target == targets[0])) {
        return absl::InvalidArgumentError(
            absl::StrCat(which, " query ", i, ": target ", target, ", expected below ", vertex_count));
      }
    }
    const std::uint32_t hidden = queries.HiddenFrom(i);
    if (hidden != HopOracle::kNoVertex && hidden >= vertex_count) {
      return absl::InvalidArgumentError(
          absl::StrCat(which, " query ", i, ": hidden vertex ", hidden, ", expected below ", vertex_count));
    }
  }
  return absl::OkStatus();
}

class Trainer {
 public:
  Trainer(const index::ProximityGraph& graph, base::MatrixView rows, base::Metric metric,
          const AnsweredQueries& training, const AnsweredQueries& validation, const ImitationOptions& options)
      : graph_(graph),
        rows_(rows),
        metric_(metric),
        training_(training),
        validation_(validation),
        options_(options),
        threads_(base::ResolveThreadCount(options.threads)),
        distances_(rows, metric),
        oracle_(graph) {}

  absl::StatusOr<TrainedRouter> Run() {
    const Clock::time_point start = Clock::now();
    const BatchOptions walks{options_.visited, options_.max_hops, options_.noise, options_.final_weight,
                             options_.steps_after_found};
    ImitationBatch batch(graph_, oracle_, walks, threads_);
    Start();
    report_.untrained = Validate();
    TrainedRouter best{codes_.Copy(), {}};
    double best_recall = report_.untrained.recall;

    base::AlignedMatrix map_gradient(codes_.query_map.rows(), codes_.query_map.columns());
    std::vector<std::uint32_t> order(training_.queries.rows);
    std::iota(order.begin(), order.end(), 0u);
    base::Random random(options_.seed);
    const std::size_t steps_an_epoch = (order.size() + options_.batch - 1) / options_.batch;
    const double last_step = std::max<double>(1, double(steps_an_epoch * options_.epochs) - 1);
    std::size_t step = 0;
    for (std::size_t epoch = 0; epoch < options_.epochs; ++epoch) {
      const Clock::time_point epoch_start = Clock::now();
      random.Shuffle(order);
      double loss = 0;
      for (std::size_t first = 0; first < order.size(); first += options_.batch, ++step) {
        if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed)) {
          return absl::CancelledError("graph router training: cancelled");
        }
        const std::size_t count = std::min(options_.batch, order.size() - first);
        const double rate = options_.learning_rate * (1 - (1 - kLastRate) * double(step) / last_step);
        base::AlignedMatrix* const map = codes_.query_map.rows() > 0 ? &map_gradient : nullptr;
        loss += double(count) * batch.Run(codes_, training_, std::span(order).subspan(first, count),
                                          random.Next(), &gradient_, map);
        model_->Step(gradient_, rate, &codes_);
        if (map != nullptr) {
          const std::vector<double> rates(map->rows(), rate * options_.query_map_rate * map_size_);
          map_adam_.Step(*map, rates, &codes_.query_map);
        }
      }
      const double seconds = SecondsSince(epoch_start);
      EpochReport done = Validate();
      done.loss = loss / double(order.size());
      done.seconds = seconds;
      report_.epochs.push_back(done);
      report_.trajectories += order.size();
      if (done.recall > best_recall) {
        best_recall = done.recall;
        best.codes = codes_.Copy();
        report_.best_epoch = epoch + 1;
      }
      if (options_.progress) options_.progress(done);
      if (epoch + 1 - report_.best_epoch >= options_.patience) break;
    }
    report_.seconds = SecondsSince(start);
    best.report = std::move(report_);
    return best;
  }

 private:
  void Start() {
    const FeatureScale scale = MeasureFeatures(rows_);
    ProjectedStart start =
        StartFromProjection(rows_, metric_, scale, options_.code_dimension, threads_, options_.seed);
    codes_.codes = base::AlignedMatrix(graph_.size(), options_.code_dimension);
    codes_.biases.assign(graph_.size(), 0.0f);
    // Scores of the projection as it is; what is walked by them does not depend on their scale.
    if (options_.start == nullptr) {
      const auto plain = MakeCodeModel(CodeSource::kFree, graph_, rows_, scale, start, 1, 0, threads_, 0);
      plain->Encode(&codes_);
    }
    if (options_.start != nullptr) {
      codes_ = options_.start->Copy();
      map_size_ = RootMeanSquare(codes_.query_map);
      model_ = MakeCodeModel(CodeSource::kFree, graph_, rows_, scale, start, 1, 0, threads_, 0);
      return;
    }
    if (options_.learn_query_map) codes_.query_map = std::move(start.query_map);
    map_size_ = RootMeanSquare(codes_.query_map);
    report_.score_scale = BestScale();
    model_ = MakeCodeModel(options_.source, graph_, rows_, scale, start, report_.score_scale,
                           options_.hidden_width, threads_, options_.seed);
    model_->Encode(&codes_);
  }

  // The scale at which the loss of walks without noise is least.
  double BestScale() const {
    WalkLimits limits;
    limits.visited = options_.visited;
    base::Random unused(0);
    WalkScratch scratch;
    HopScratch hop_scratch;
    ImitationLoss loss;
    Walk walk;
    std::vector<float> projected(codes_.dimension()), scores, derivative;
    std::vector<std::uint8_t> hops;
    std::vector<double> losses(kScales, 0.0);
    const std::size_t count = std::min(kScaleSample, training_.queries.rows);
    double unit = 0;  // 1 / deviation of the scores of the first walk
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t query = i * training_.queries.rows / count;
      codes_.Project(training_.queries.row(query), projected.data());
      CodeScorer scorer(codes_, projected.data());
      limits.hidden = training_.HiddenFrom(query);
      WalkGraph(graph_, scorer, limits, &unused, &scratch, &walk);
      const std::size_t size = walk.vertices.size();
      if (size < 2) continue;
      hops.resize(size);
      scores.resize(size);
      derivative.resize(size);
      oracle_.Hops(training_.TargetsOf(query), walk.vertices, limits.hidden, options_.max_hops, &hop_scratch,
                   hops.data());
      if (unit == 0) {
        double sum = 0, squares = 0;
        for (const float each : walk.distances) sum += each;
        for (const float each : walk.distances) {
          squares += (each - sum / double(size)) * (each - sum / double(size));
        }
        unit = squares > 0 ? std::sqrt(double(size) / squares) : 0;
      }
      for (std::size_t s = 0; s < kScales; ++s) {
        const double factor = ScaleOf(s) * unit;
        for (std::size_t j = 0; j < size; ++j) scores[j] = static_cast<float>(-factor * walk.distances[j]);
        losses[s] +=
            loss.Evaluate({scores, hops, walk.expanded, walk.arrived}, options_.final_weight, derivative);
      }
    }
    const auto best = std::min_element(losses.begin(), losses.end()) - losses.begin();
    return unit == 0 ? 1 : ScaleOf(static_cast<std::size_t>(best)) * unit;
  }

  static constexpr std::size_t kScales = 18;
  static double ScaleOf(std::size_t s) { return 0.25 * std::pow(2.0, 0.5 * double(s)); }  // to 90

  EpochReport Validate() const {
    EpochReport result;
    result.rerank_width = options_.rerank_widths.front();
    for (const std::size_t width : options_.rerank_widths) {
      const double recall =
          RecallAtBudget(graph_, distances_, codes_, validation_, options_.budget, width, threads_);
      if (recall > result.recall) {
        result.recall = recall;
        result.rerank_width = width;
      }
    }
    return result;
  }

  const index::ProximityGraph& graph_;
  base::MatrixView rows_;
  base::Metric metric_;
  const AnsweredQueries& training_;
  const AnsweredQueries& validation_;
  const ImitationOptions& options_;
  int threads_;
  index::RowDistances distances_;
  HopOracle oracle_;
  RoutingCodes codes_;
  std::unique_ptr<CodeModel> model_;
  CodeGradient gradient_;
  Adam map_adam_;
  double map_size_ = 0;
  ImitationReport report_;
};

}  // namespace

absl::Status ImitationOptions::Validate(std::size_t dimension) const {
  if (code_dimension < 1 || code_dimension > dimension) {
    return OutOfRange("code_dimension", double(code_dimension), absl::StrCat("1 to ", dimension));
  }
  if (!learn_query_map && code_dimension != dimension) {
    return OutOfRange("code_dimension with the identity for a query map", double(code_dimension),
                      absl::StrCat(dimension));
  }
  if (source == CodeSource::kHidden && (hidden_width < 1 || hidden_width > 8192)) {
    return OutOfRange("hidden_width", double(hidden_width), "1 to 8192");
  }
  if (visited < 2) return OutOfRange("visited", double(visited), "at least 2");
  if (max_hops < 1 || max_hops > HopOracle::kMostHops) {
    return OutOfRange("max_hops", double(max_hops), absl::StrCat("1 to ", HopOracle::kMostHops));
  }
  if (!(noise >= 0 && noise <= 100)) return OutOfRange("noise", noise, "0 to 100");
  if (!(final_weight >= 0 && final_weight <= 1e6)) {
    return OutOfRange("final_weight", final_weight, "0 to 1e6");
  }
  if (!(learning_rate > 0 && learning_rate <= 1)) {
    return OutOfRange("learning_rate", learning_rate, "above 0, at most 1");
  }
  if (!(query_map_rate >= 0 && query_map_rate <= 100)) {
    return OutOfRange("query_map_rate", query_map_rate, "0 to 100");
  }
  if (batch < 1) return OutOfRange("batch", double(batch), "at least 1");
  if (rerank_widths.empty() || *std::min_element(rerank_widths.begin(), rerank_widths.end()) == 0) {
    return OutOfRange("rerank_widths", 0, "widths of at least 1");
  }
  if (patience < 1) return OutOfRange("patience", double(patience), "at least 1");
  return absl::OkStatus();
}

absl::StatusOr<TrainedRouter> TrainByImitation(const index::ProximityGraph& graph, base::MatrixView rows,
                                               base::Metric metric, const AnsweredQueries& training,
                                               const AnsweredQueries& validation,
                                               const ImitationOptions& options) {
  if (graph.size() == 0 || graph.size() != rows.rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("vertices of the graph: ", graph.size(), ", expected ", rows.rows, " rows, at least 1"));
  }
  TRIVIUM_RETURN_IF_ERROR(options.Validate(rows.columns));
  TRIVIUM_RETURN_IF_ERROR(CheckQueries("training", training, rows.columns, graph.size()));
  TRIVIUM_RETURN_IF_ERROR(CheckQueries("validation", validation, rows.columns, graph.size()));
  if (const RoutingCodes* start = options.start) {
    if (options.source != CodeSource::kFree) {
      return OutOfRange("source with codes to start from", double(options.source), "free codes (0)");
    }
    const std::size_t map_rows = options.learn_query_map ? options.code_dimension : 0;
    if (start->codes.rows() != rows.rows || start->dimension() != options.code_dimension ||
        start->query_map.rows() != map_rows || (map_rows > 0 && start->query_map.columns() != rows.columns)) {
      return absl::InvalidArgumentError(absl::StrCat("codes to start from: ", start->codes.rows(), " x ",
                                                     start->dimension(), " and a query map of ",
                                                     start->query_map.rows(), " rows, expected ", rows.rows,
                                                     " x ", options.code_dimension, " and ", map_rows));
    }
  }
  return Trainer(graph, rows, metric, training, validation, options).Run();
}

}  // namespace trivium::routing
