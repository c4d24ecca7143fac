// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/edge_rounds.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/status_macros.h"

namespace trivium::routing {
namespace {

double Best(absl::Span<const double> curve) {
  return curve.empty() ? std::numeric_limits<double>::infinity()
                       : *std::min_element(curve.begin(), curve.end());
}

bool Stalled(absl::Span<const double> curve) {
  return curve.size() > 1 && curve.back() >= Best(curve.first(curve.size() - 1));
}

}  // namespace

absl::Status LearnInRounds(const index::RowsView& rows, base::Metric metric, const QueryAnswers& training,
                           absl::Span<const std::uint32_t> entries, const EdgeLearningOptions& options,
                           const std::function<absl::StatusOr<double>(const index::ProximityGraph&)>& judge,
                           const std::function<absl::Status(const EdgeRounds&)>& after_round,
                           EdgeRounds* rounds) {
  while (rounds->learning.rounds < options.rounds && !Stalled(rounds->curve)) {
    TRIVIUM_RETURN_IF_ERROR(LearnRound(rows, metric, training, entries, options, &rounds->learning));
    index::ProximityGraph graph = rounds->learning.Reachable(rows, metric);
    TRIVIUM_ASSIGN_OR_RETURN(const double ratio, judge(graph));
    if (ratio < Best(rounds->curve)) {
      rounds->best = std::move(graph);
      rounds->best_edges = rounds->learning.edges;
    }
    rounds->curve.push_back(ratio);
    if (after_round) TRIVIUM_RETURN_IF_ERROR(after_round(*rounds));
  }
  return absl::OkStatus();
}

}  // namespace trivium::routing
