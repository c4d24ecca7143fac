// SPDX-License-Identifier: Apache-2.0
// Builds a proximity graph, or adds vertices to one.
//
// New vertices enter in batches: each searches the graph as it stood before the batch, in parallel, and keeps
// a pruned selection of the vertices its search expanded; then the edges are reversed, grouped by target, and
// each target adds those that come to it, in parallel. Nothing depends on the order within a batch, so the
// graph is the same for any number of threads. Distances of large builds are those of codes (build_space.h).
//
// Source:  Manohar et al. 2024 (ParlayANN), Alg. 1 (batch insertion with prefix doubling), over the rule of
//          Subramanya et al. 2019 (DiskANN).
// Differs: a full list remembers which of its edges one pruning kept together, and so need not be compared
//          again (PruneCandidate::settled); at the end every vertex is made reachable from the entry.
#pragma once

#include "absl/status/status.h"
#include "base/metric.h"
#include "index/graph_build_options.h"
#include "index/proximity_graph.h"
#include "index/rows_view.h"

namespace trivium::index {

// Adds rows [graph->size(), rows.rows), of any format, to `graph`, whose degree bound stands (that of
// `options` is for new graphs). Afterwards every vertex is reachable from graph->entry(), no vertex names
// itself, none names another twice. Vertices that were taken out (graph_repair.h) stay out. Memory on top of
// the graph: about 20 bytes a row, where codes are used a byte a coordinate more, and 8 bytes an edge of one
// batch (2 % of the rows).
//
// kInvalidArgument: options, more than 2^31 - 1 rows. kCancelled. The graph is empty after an error.
absl::Status ExtendGraph(const RowsView& rows, base::Metric metric, const GraphBuildOptions& options,
                         ProximityGraph* graph);

}  // namespace trivium::index
