// SPDX-License-Identifier: Apache-2.0
// One search over rows, the first of which have a proximity graph: walks it, or scans where that is cheaper,
// and completes filtered results so that none is missing.
#pragma once

#include <cstddef>
#include <vector>

#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/edge_codes.h"
#include "index/profile.h"
#include "index/proximity_graph.h"
#include "index/row_codes.h"
#include "index/rows_view.h"
#include "index/search_index.h"
#include "index/search_scratch.h"

namespace trivium::index {

inline constexpr std::size_t kDefaultBeamWidth = 96;

// Rows and what helps to search them; borrowed.
struct SearchableRows {
  RowsView rows;
  base::Metric metric = base::Metric::kCosine;
  const ProximityGraph* graph = nullptr;  // of rows [0, graph->size()), the rows after them are scanned
  // Of all vertices of the graph, what it is walked by; at most one of them. Both null: distances of the
  // rows.
  const EdgeCodes* edge_codes = nullptr;
  const RowCodes* row_codes = nullptr;
};

// Whether a profile walks its graph by these codes; with fewer dimensions by the distances of the rows.
inline bool UsesEdgeCodes(Profile profile, std::size_t dimension) {
  return profile == Profile::kSpeed && dimension >= EdgeCodes::kSmallestDimension;
}
inline bool UsesRowCodes(Profile profile, std::size_t dimension) {
  return IsCompressed(profile) && dimension >= RowCodes::kSmallestDimension;
}

// The beam a graph search of `graph_size` vertices uses: the caller's or the default, at least k, and with a
// filter widened by 1 / selectivity, so that it holds as many allowed vertices as it would without.
std::size_t EffectiveBeamWidth(const SearchParameters& parameters, std::size_t graph_size);

// Whether scanning `row_count` rows takes less time than walking a graph with this beam.
bool ScanIsCheaper(std::size_t row_count, std::size_t beam_width, std::size_t degree_bound);
// The same over codes, where `allowed` (> 0) of the `row_count` rows may be returned and are stored in
// `format`.
bool ScanIsCheaperThanCodes(std::size_t allowed, std::size_t row_count, std::size_t beam_width,
                            RowFormat format);

// About how many distances of any kind a search computes: of a scan the rows that may be returned; of a walk
// what walks with such a beam took on average; one may take twice as much. O(1).
double ExpectedSearchDistances(const SearchableRows& searched, const SearchParameters& parameters);

// As SearchIndex::Search.
void SearchRowsWithGraph(const SearchableRows& searched, const float* query,
                         const SearchParameters& parameters, SearchScratch* scratch,
                         std::vector<base::Neighbor>* found, SearchCounters* counters);

// As SearchIndex::SearchMany. Walks over codes take turns, so that one's memory reads are under way while the
// other computes.
void SearchRowsWithGraph(const SearchableRows& searched, base::MatrixView queries,
                         const SearchParameters& parameters, SearchScratch* scratch,
                         std::vector<base::Neighbor>* found, SearchCounters* counters);

}  // namespace trivium::index
