// SPDX-License-Identifier: Apache-2.0
// Takes vertices out of a proximity graph and closes the gaps that they leave.
//
// Every vertex that loses neighbours is pruned anew from the neighbours it keeps and those of the neighbours
// it loses, so that a way that led over a removed vertex leads past it.
//
// Source:  Singh et al. 2021 (FreshDiskANN), Alg. 4 (Delete).
// Differs: neighbours that stay do not drop each other; a vertex that is left without any candidate is joined
// to its nearest by a scan, and at the end
//          every vertex is made reachable, as by a build.
#pragma once

#include "absl/status/status.h"
#include "base/bitmap.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/graph_build_options.h"
#include "index/proximity_graph.h"

namespace trivium::index {

// Takes the vertices of `removed` (graph->size() bits, some not set) out of the graph: afterwards they have
// no neighbours and are none, the entry is none of them, and every other vertex is reachable from it. Numbers
// do not change, and ExtendGraph leaves a vertex without neighbours alone. Vertices that were removed before
// may be set or not, but at least one vertex remains.
//
// Of `options`, alpha, beam_width (of the search that makes a vertex reachable), threads and cancelled are
// used; the graph does not depend on the threads. Cost: for each vertex that loses neighbours about what
// inserting it costs without the search. Half of 107 thousand MiniLM rows removed took a sixth of the time of
// a fresh build, and with as many new ones recall was that of one; where most are removed, build anew.
// Memory: as ExtendGraph.
//
// kInvalidArgument: options, sizes, nothing remains. kCancelled: nothing was removed, though some vertices
// may have other neighbours than before.
absl::Status RemoveVertices(const RowsView& rows, base::Metric metric, const GraphBuildOptions& options,
                            const base::Bitmap& removed, ProximityGraph* graph);

// The graph of the vertices of `kept` alone (graph.size() bits, the entry's set), numbered in their order. No
// vertex of `kept` may have one outside as a neighbour, which RemoveVertices sees to. O(edges).
ProximityGraph KeepVertices(const ProximityGraph& graph, const base::Bitmap& kept);

}  // namespace trivium::index
