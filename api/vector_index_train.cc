// SPDX-License-Identifier: Apache-2.0
// Teaching the graph of a vector index from queries.
#include <chrono>
#include <new>

#include "absl/strings/str_format.h"
#include "api/graph_training.h"
#include "api/vector_index_impl.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "trivium/vector_index.h"

namespace trivium {

absl::StatusOr<GraphTrainingReport> VectorIndex::TrainGraph(MatrixView queries,
                                                            const GraphTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  if (impl_->graph == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrFormat("algorithm: %s, expected graph to train one", VectorIndexAlgorithmName(algorithm())));
  }
  if (queries.rows > 0 && queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query dimension: %d, expected %d", queries.columns, dimension()));
  }
  if (size() < routing::kSmallestTrainedGraph) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "vector index: %d rows, expected at least %d to train on", size(), routing::kSmallestTrainedGraph));
  }
  const std::size_t known = options.fine_tune ? impl_->graph->training().queries.rows : 0;
  if (queries.rows + known < routing::kFewestTrainingQueries) {  // before removed rows are dropped
    return absl::InvalidArgumentError(absl::StrFormat("training queries: %d, expected at least %d",
                                                      queries.rows, routing::kFewestTrainingQueries));
  }
  try {
    base::AlignedMatrix rows(dimension());
    if (queries.rows > 0) {
      TRIVIUM_ASSIGN_OR_RETURN(rows, impl_->PrepareQueries(queries));
    }
    TRIVIUM_RETURN_IF_ERROR(Compact());
    TRIVIUM_RETURN_IF_ERROR(impl_->graph->Seal(impl_->options.threads));
    routing::GraphTrainingOptions learning = EngineOptions(options);
    learning.former = &impl_->graph->training();
    TRIVIUM_ASSIGN_OR_RETURN(routing::TrainedGraph trained,
                             routing::TrainGraph(impl_->graph->searchable(), rows.view(), learning));
    GraphTrainingReport report = Describe(trained.report);
    report.enabled = trained.report.accepted || options.ignore_gate;
    if (report.enabled) {
      trained.kept.record = TrainingRecord(report, size(), options.seed);
      impl_->untaught_rows = 0;
      impl_->graph->Teach(std::move(trained.graph), std::move(trained.codes), std::move(trained.kept));
    }
    RemoveCheckpoints(options, 1);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("training the graph");
  }
}

}  // namespace trivium
