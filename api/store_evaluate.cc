// SPDX-License-Identifier: Apache-2.0
// Measuring the store on judged queries.
#include <algorithm>
#include <optional>

#include "absl/strings/str_format.h"
#include "api/answer_comparison.h"
#include "api/clean_queries.h"
#include "api/comparison_report.h"
#include "api/evaluation.h"
#include "api/judged_queries.h"
#include "api/route_flips.h"
#include "api/store_impl.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"

namespace trivium {

absl::StatusOr<EvaluationReport> Store::Evaluate(const EvaluateOptions& options) const {
  TRIVIUM_ASSIGN_OR_RETURN(const std::shared_ptr<const StoreState> state, impl_->Read());
  if (options.depth < 10) {
    return absl::InvalidArgumentError(
        absl::StrFormat("depth: %d, expected at least 10, for metrics at 10", options.depth));
  }
  if (options.sets.empty()) return absl::InvalidArgumentError("query sets: none, expected at least one");
  const int threads = base::ResolveThreadCount(0);
  std::optional<TrainingQueries> training;
  if (!options.training.empty()) {
    TRIVIUM_ASSIGN_OR_RETURN(training, TrainingQueries::Load(*state, &impl_->encoders, options.training));
  }
  EvaluationReport report;
  ComparedWays ways;
  std::vector<ComparedSet> compared;
  for (const QuerySet& set : options.sets) {
    TRIVIUM_ASSIGN_OR_RETURN(const JudgedSet judged, ResolveJudgements(*state, set));
    TRIVIUM_ASSIGN_OR_RETURN(const PreparedQueries prepared, PrepareJudged(*state, &impl_->encoders, judged));
    SearchOptions search = options.search;
    search.k = options.depth;
    if (set.drop_self) {
      std::size_t own = 0;
      for (const JudgedQuery& query : judged.queries) own = std::max(own, query.own.size());
      search.k += own;
    }
    TRIVIUM_ASSIGN_OR_RETURN(const Searcher searcher, impl_->MakeSearcher(state, search));
    TRIVIUM_ASSIGN_OR_RETURN(SetMetrics metrics,
                             MeasureSet(searcher, &impl_->encoders, judged, prepared, options));
    TRIVIUM_ASSIGN_OR_RETURN(metrics.skipped_rejected_queries,
                             CountSkippedRejected(searcher, &impl_->encoders, judged));
    if (training) {
      TRIVIUM_ASSIGN_OR_RETURN(const std::vector<bool> clean, training->FindClean(judged, prepared, threads));
      AddCleanMetrics(clean, &metrics);
    }
    if (options.compare) {
      ways = WaysToCompare(searcher);
      ComparedSet& other = compared.emplace_back();
      TRIVIUM_ASSIGN_OR_RETURN(other.queries,
                               CompareAnswers(searcher, &impl_->encoders, judged, prepared, threads));
      TRIVIUM_ASSIGN_OR_RETURN(other.flips,
                               CountRouteFlips(searcher, &impl_->encoders, judged, prepared, options.typos));
    }
    report.sets.push_back(std::move(metrics));
  }
  report.macro = MacroAverage(report.sets);
  if (options.compare) ReportComparison(ways, compared, threads, &report);
  return report;
}

}  // namespace trivium
