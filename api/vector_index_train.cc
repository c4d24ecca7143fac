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
namespace {

// Aligned copies, of unit length for the cosine metric.
absl::StatusOr<base::AlignedMatrix> Prepare(MatrixView queries, Metric metric) {
  base::AlignedMatrix rows(queries.rows, queries.columns);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    const float* query = queries.data + i * queries.columns;
    TRIVIUM_ASSIGN_OR_RETURN(const float scale, RowScale(query, queries.columns, metric, "query", i));
    for (std::size_t j = 0; j < queries.columns; ++j) rows.row(i)[j] = query[j] * scale;
  }
  return rows;
}

}  // namespace

absl::StatusOr<GraphTrainingReport> VectorIndex::TrainGraph(MatrixView queries,
                                                            const GraphTrainingOptions& options) {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  const auto start = std::chrono::steady_clock::now();
  if (impl_->graph == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrFormat("algorithm: %s, expected graph to train one", VectorIndexAlgorithmName(algorithm())));
  }
  if (queries.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("query dimension: %d, expected %d", queries.columns, dimension()));
  }
  if (size() < routing::kSmallestTrainedGraph) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "vector index: %d rows, expected at least %d to train on", size(), routing::kSmallestTrainedGraph));
  }
  if (queries.rows < routing::kFewestTrainingQueries) {  // before removed rows are dropped
    return absl::InvalidArgumentError(absl::StrFormat("training queries: %d, expected at least %d",
                                                      queries.rows, routing::kFewestTrainingQueries));
  }
  try {
    TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix rows, Prepare(queries, metric()));
    TRIVIUM_RETURN_IF_ERROR(Compact());
    TRIVIUM_RETURN_IF_ERROR(impl_->graph->Seal(impl_->options.threads));
    TRIVIUM_ASSIGN_OR_RETURN(
        routing::TrainedGraph trained,
        routing::TrainGraph(impl_->graph->searchable(), rows.view(), EngineOptions(options)));
    GraphTrainingReport report = Describe(trained.report);
    report.enabled = trained.report.accepted || options.ignore_gate;
    if (report.enabled) {
      impl_->graph->Teach(std::move(trained.graph), std::move(trained.codes));
      impl_->training = TrainingRecord(report, options.seed);
    }
    RemoveCheckpoints(options, 1);
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("training the graph");
  }
}

}  // namespace trivium
