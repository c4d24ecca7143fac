// SPDX-License-Identifier: Apache-2.0
// Between the public reports on graphs and what routing/graph/ measures.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "index/graph_search.h"
#include "index/kept_training.h"
#include "trivium/graph_inspection.h"

namespace trivium {

// `canaries`: prepared as the rows are; none: those of `training` that were held out. `labels`: one a row.
// kFailedPrecondition: nothing taught the graph, or no canaries.
absl::StatusOr<GraphDriftReport> InspectDrift(const index::SearchableRows& searched,
                                              const index::KeptTraining& training, base::MatrixView canaries,
                                              absl::Span<const std::uint64_t> labels,
                                              const GraphDriftOptions& options);

// `query` is prepared as the rows are.
WalkTrace InspectWalk(const index::SearchableRows& searched, const index::KeptTraining& training,
                      const float* query, const WalkOptions& options, absl::Span<const std::uint64_t> labels);

}  // namespace trivium
