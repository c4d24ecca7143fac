// SPDX-License-Identifier: Apache-2.0
#include "api/comparison_report.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/thread_pool.h"
#include "routing/expert/answer_statistics.h"
#include "routing/expert/calibration_error.h"
#include "routing/expert/cost_quality_hull.h"

namespace trivium {
namespace {

constexpr std::size_t kBootstrapRounds = 1000;
constexpr std::uint64_t kBootstrapSeed = 0;
constexpr std::size_t kCalibrationBins = 15;

// Of one way of answering (or one budget), a value for each query of all sets.
struct Column {
  std::vector<double> ndcg, experts, distances;
  void Add(const AnswerOutcome& outcome) {
    ndcg.push_back(outcome.ndcg);
    experts.push_back(outcome.experts);
    distances.push_back(outcome.distances);
  }
};

// Sets that are empty are left out of every mean.
double MeanOf(const std::vector<double>& values, const routing::QuerySets& sets) {
  return sets.empty() ? 0 : routing::MacroMean(values, sets);
}

ComparisonRow Describe(const std::string& name, const Column& column, const routing::QuerySets& sets) {
  ComparisonRow row;
  row.name = name;
  row.ndcg_at_10 = MeanOf(column.ndcg, sets);
  row.experts_per_query = MeanOf(column.experts, sets);
  row.distance_computations_per_query = MeanOf(column.distances, sets);
  return row;
}

class Comparison {
 public:
  Comparison(const ComparedWays& ways, const std::vector<ComparedSet>& compared, int thread_count,
             EvaluationReport* report)
      : ways_(ways), compared_(compared), thread_count_(thread_count), report_(*report) {
    columns_.resize(ways.names.size());
    budgets_.resize(ways.routers.size() * ways.budgets.size());
    std::uint32_t next = 0;
    for (std::size_t s = 0; s < compared.size(); ++s) {
      positions_.emplace_back();
      clean_positions_.emplace_back();
      for (std::size_t i = 0; i < compared[s].queries.size(); ++i, ++next) {
        const ComparedQuery& query = compared[s].queries[i];
        for (std::size_t way = 0; way < columns_.size(); ++way) columns_[way].Add(query.ways[way]);
        for (std::size_t b = 0; b < budgets_.size(); ++b) budgets_[b].Add(query.budgets[b]);
        positions_.back().push_back(next);
        const std::optional<bool>& clean = report_.sets[s].outcomes[i].clean;
        has_clean_ = has_clean_ || clean.has_value();
        if (clean.value_or(false)) clean_positions_.back().push_back(next);
      }
    }
  }

  void Fill() {
    for (std::size_t s = 0; s < compared_.size(); ++s) {
      SetMetrics& set = report_.sets[s];
      set.compare = Rows({positions_[s]}, {clean_positions_[s]});
      for (std::size_t i = 0; i < set.outcomes.size(); ++i) {
        for (const AnswerOutcome& way : compared_[s].queries[i].ways) {
          set.outcomes[i].compared.push_back(way.ndcg);
        }
      }
    }
    report_.macro.compare = Rows(positions_, clean_positions_);
    for (std::size_t r = 0; r < ways_.routers.size(); ++r) report_.routers.push_back(Router(r));
  }

 private:
  static routing::QuerySets WithoutEmpty(routing::QuerySets sets) {
    std::erase_if(sets, [](const std::vector<std::uint32_t>& set) { return set.empty(); });
    return sets;
  }

  std::vector<ComparisonRow> Rows(const routing::QuerySets& all_sets,
                                  const routing::QuerySets& clean_sets) const {
    const routing::QuerySets sets = WithoutEmpty(all_sets);
    const routing::QuerySets clean = WithoutEmpty(clean_sets);
    std::vector<ComparisonRow> rows(columns_.size());
    base::ParallelFor(rows.size(), thread_count_, 1, [&](std::size_t way, int) {
      rows[way] = Describe(ways_.names[way], columns_[way], sets);
      std::tie(rows[way].gain, rows[way].oracle_share) = Gain(way, sets);
      if (!has_clean_) return;
      rows[way].clean = CleanComparison{MeanOf(columns_[way].ndcg, clean), Gain(way, clean).first};
    });
    return rows;
  }

  // Over "all", and as a share of the best expert's for each query. All ways draw the same queries.
  std::pair<Estimate, Estimate> Gain(std::size_t way, const routing::QuerySets& sets) const {
    if (sets.empty()) return {};
    const std::vector<double>&values = columns_[way].ndcg, &all = columns_[ways_.all].ndcg,
          &oracle = columns_.back().ndcg;
    const routing::GainIntervals intervals =
        routing::BootstrapGain(values, all, oracle, sets, kBootstrapRounds, kBootstrapSeed);
    const double gain = MeanOf(values, sets) - MeanOf(all, sets);
    const double oracle_gain = MeanOf(oracle, sets) - MeanOf(all, sets);
    std::pair<Estimate, Estimate> estimates;
    estimates.first = {gain, intervals.gain.low, intervals.gain.high};
    if (oracle_gain > 0) {
      estimates.second = {gain / oracle_gain, intervals.oracle_share.low, intervals.oracle_share.high};
    }
    return estimates;
  }

  RouterMetrics Router(std::size_t router) const {
    RouterMetrics metrics;
    metrics.name = ways_.routers[router];
    std::vector<routing::Forecast> holding, being_best;
    double holds = 0, best = 0;
    std::uint64_t typed_twice = 0, flipped = 0;
    for (const ComparedSet& set : compared_) {
      for (const ComparedQuery& query : set.queries) {
        const FirstExpert& first = query.first[router];
        if (!first.chosen) continue;
        holding.push_back({first.probability, first.holds_relevant});
        holds += first.holds_relevant ? 1 : 0;
        if (!first.answerable) continue;
        being_best.push_back({first.probability, first.best});
        best += first.best ? 1 : 0;
      }
      typed_twice += set.flips.queries;
      if (set.flips.queries > 0) flipped += set.flips.flipped[router];
    }
    metrics.queries = holding.size();
    metrics.holds_relevant = holds / static_cast<double>(holding.size());
    metrics.best = best / static_cast<double>(being_best.size());
    metrics.holds_relevant_calibration_error = routing::CalibrationError(holding, kCalibrationBins);
    metrics.best_calibration_error = routing::CalibrationError(being_best, kCalibrationBins);
    if (typed_twice > 0)
      metrics.route_flips = static_cast<double>(flipped) / static_cast<double>(typed_twice);

    const routing::QuerySets sets = WithoutEmpty(positions_);
    for (std::size_t b = 0; b < ways_.budgets.size(); ++b) {
      metrics.budgets.push_back(
          Describe(ways_.budgets[b], budgets_[router * ways_.budgets.size() + b], sets));
    }
    const std::vector<ComparisonRow>& rows = report_.macro.compare;
    std::vector<routing::CostQuality> by_distances, by_experts;
    const auto add = [&](const ComparisonRow& row) {
      by_distances.push_back({row.distance_computations_per_query, row.ndcg_at_10});
      by_experts.push_back({row.experts_per_query, row.ndcg_at_10});
    };
    add(rows[router]);
    for (const ComparisonRow& row : metrics.budgets) add(row);
    const ComparisonRow& all = rows[ways_.all];
    metrics.aiq_distances = routing::AverageQuality(by_distances, all.distance_computations_per_query);
    metrics.aiq_experts = routing::AverageQuality(by_experts, all.experts_per_query);
    return metrics;
  }

  const ComparedWays& ways_;
  const std::vector<ComparedSet>& compared_;
  const int thread_count_;
  EvaluationReport& report_;
  std::vector<Column> columns_;                     // by way
  std::vector<Column> budgets_;                     // by router, then budget
  routing::QuerySets positions_, clean_positions_;  // a set, empty ones included
  bool has_clean_ = false;
};

}  // namespace

void ReportComparison(const ComparedWays& ways, const std::vector<ComparedSet>& compared, int thread_count,
                      EvaluationReport* report) {
  Comparison(ways, compared, thread_count, report).Fill();
}

}  // namespace trivium
