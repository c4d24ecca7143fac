// SPDX-License-Identifier: Apache-2.0
// The published rival of learned edges: a graph that is built from queries, rather than one that is taught by
// them afterwards.
//
// Each query is a hub of its nearest rows. The hub is replaced by the nearest of them, its *pivot*, which is
// linked to the others as pruning allows (projection). Such edges say little about rows that no query found,
// so every row then searches the graph as it is and gets edges to what it passed (connectivity enhancement).
//
// Source:  Chen et al. 2024 (RoarGraph, VLDB 17), section 4.
// Differs: the published lists hold up to three times the degree of the projection; here all edges of a
// vertex
//          share one degree bound, of which the projection takes a part. The queries of one pivot are pruned
//          together instead of the last one winning. Rows are enhanced in batches, so that the graph does not
//          depend on the threads; what is unreachable in the end is linked as by our own builder.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/proximity_graph.h"
#include "routing/graph/query_answers.h"

namespace trivium::bench {

struct RoarGraphOptions {
  std::size_t degree_bound = 32;
  std::size_t projected_degree = 16;  // of these, what the projection may take; 1 to degree_bound
  std::size_t beam_width = 200;       // of the searches of connectivity enhancement
  float alpha = 1;                    // of pruning; the paper's is 1
  std::uint64_t seed = 0;             // of the order of the rows
  int thread_count = 1;
};

// Every query's `count` nearest rows, exactly: O(queries x rows x dimension). At most as many as there are
// rows.
routing::QueryAnswers NearestRows(base::MatrixView rows, base::Metric metric, base::MatrixView queries,
                                  std::size_t count, int thread_count);

// The projection alone: lists of at most projected_degree, most of them empty.
index::ProximityGraph ProjectQueries(base::MatrixView rows, base::Metric metric,
                                     const routing::QueryAnswers& answers, const RoarGraphOptions& options);

// The whole graph: every vertex is reachable from the entry, which is the medoid; no list holds its own
// vertex, or another one twice.
index::ProximityGraph BuildRoarGraph(base::MatrixView rows, base::Metric metric,
                                     const routing::QueryAnswers& answers, const RoarGraphOptions& options);

}  // namespace trivium::bench
