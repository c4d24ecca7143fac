// SPDX-License-Identifier: Apache-2.0
// A small graph with codes and queries that lie apart from its rows, which no test changes.
#pragma once

#include <vector>

#include "index/edge_codes.h"
#include "index/graph_builder.h"
#include "index/graph_search.h"
#include "tests/support/random_vectors.h"
#include "tests/support/straddling_queries.h"

namespace trivium::testing_support {

struct TaughtWorld {
  static constexpr base::Metric kMetric = base::Metric::kCosine;

  base::AlignedMatrix rows;
  index::ProximityGraph graph;
  index::EdgeCodes codes;
  base::AlignedMatrix queries;

  TaughtWorld(std::size_t row_count, std::size_t dimension, std::size_t degree_bound, std::size_t query_count)
      : rows(ClusteredVectors(row_count, dimension, kMetric, 1)),
        graph(degree_bound),
        codes(dimension, kMetric, degree_bound),
        queries(StraddlingQueries(rows.view(), query_count, 5)) {
    index::GraphBuildOptions build;
    build.degree_bound = degree_bound;
    build.beam_width = 80;
    build.threads = 1;
    (void)index::ExtendGraph(rows.view(), kMetric, build, &graph);  // its size tells
    codes.Update(rows.view(), graph, 1);
  }

  index::SearchableRows searchable() const {
    return {.rows = rows.view(), .metric = kMetric, .graph = &graph, .edge_codes = &codes};
  }
};

inline std::vector<std::uint32_t> GraphWords(const index::ProximityGraph& graph) {
  std::vector<std::uint32_t> words(graph.words(), graph.words() + graph.size() * graph.stride());
  words.push_back(graph.entry());
  return words;
}

}  // namespace trivium::testing_support
