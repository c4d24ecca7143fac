// SPDX-License-Identifier: Apache-2.0
// What training the graph of a vector index is worth, and where walks of it go.
#include <new>

#include "absl/strings/str_format.h"
#include "api/graph_inspection.h"
#include "api/vector_index_impl.h"
#include "base/status_macros.h"
#include "trivium/vector_index.h"

namespace trivium {

absl::StatusOr<GraphDriftReport> VectorIndex::GraphDrift(MatrixView queries,
                                                         const GraphDriftOptions& options) const {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  try {
    base::AlignedMatrix canaries;
    if (queries.rows > 0) {
      TRIVIUM_ASSIGN_OR_RETURN(canaries, impl_->PrepareQueries(queries));
    }
    const index::SearchableRows searched =
        impl_->graph != nullptr ? impl_->graph->searchable() : index::SearchableRows{};
    return InspectDrift(searched, impl_->Training(), canaries.view(), impl_->labels.labels(), options);
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("measuring drift");
  }
}

absl::StatusOr<WalkTrace> VectorIndex::TraceWalk(absl::Span<const float> query,
                                                 const WalkOptions& options) const {
  TRIVIUM_RETURN_IF_ERROR(options.Validate());
  if (impl_->graph == nullptr || impl_->graph->graph().size() < 2) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "walk: an index of algorithm %s with %d rows in a graph, expected graph and at least 2",
        VectorIndexAlgorithmName(algorithm()), impl_->graph == nullptr ? 0 : impl_->graph->graph().size()));
  }
  try {
    TRIVIUM_ASSIGN_OR_RETURN(const base::AlignedMatrix row,
                             impl_->PrepareQueries({query.data(), 1, query.size()}));
    WalkOptions walk = options;
    if (walk.beam_width == 0) walk.beam_width = beam_width();
    return InspectWalk(impl_->graph->searchable(), impl_->Training(), row.row(0), walk,
                       impl_->labels.labels());
  } catch (const std::bad_alloc&) {
    return VectorIndexOutOfMemory("tracing a walk");
  }
}

}  // namespace trivium
