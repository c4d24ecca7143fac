// SPDX-License-Identifier: Apache-2.0
// One graph with edge codes over rows in clusters, and queries between these, for tests that only read it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "index/edge_codes.h"
#include "index/graph_builder.h"
#include "index/graph_search.h"
#include "index/proximity_graph.h"
#include "tests/support/random_vectors.h"
#include "tests/support/status_matchers.h"
#include "tests/support/straddling_queries.h"

namespace trivium::testing_support {

struct StraddledGraph {
  static constexpr base::Metric kMetric = base::Metric::kCosine;
  static constexpr std::size_t kRows = 4000, kDimension = 64, kDegree = 24;

  base::AlignedMatrix rows = ClusteredVectors(kRows, kDimension, kMetric, 1);
  index::ProximityGraph graph{kDegree};
  index::EdgeCodes codes{kDimension, kMetric, kDegree};
  base::AlignedMatrix queries = StraddlingQueries(rows.view(), 1200, 5);

  StraddledGraph() {
    index::GraphBuildOptions build;
    build.degree_bound = kDegree;
    build.beam_width = 80;
    EXPECT_OK(index::ExtendGraph(rows.view(), kMetric, build, &graph));
    codes.Update(rows.view(), graph, 1);
  }
  index::SearchableRows searchable() const {
    return {.rows = rows.view(), .metric = kMetric, .graph = &graph, .edge_codes = &codes};
  }
  static const StraddledGraph& Get() {
    static const StraddledGraph* const made = new StraddledGraph;
    return *made;
  }
};

// All of a graph, to compare.
inline std::vector<std::uint32_t> Words(const index::ProximityGraph& graph) {
  std::vector<std::uint32_t> words(graph.words(), graph.words() + graph.size() * graph.stride());
  words.push_back(graph.entry());
  return words;
}

}  // namespace trivium::testing_support
