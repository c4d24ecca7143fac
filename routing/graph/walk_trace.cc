// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/walk_trace.h"

#include <algorithm>
#include <span>
#include <unordered_map>

#include "index/row_distances.h"
#include "index/search_scratch.h"

namespace trivium::routing {

WalkTrace TraceWalk(const index::SearchableRows& searched, const float* query, std::size_t k,
                    std::size_t beam_width, index::SearchScratch* scratch) {
  WalkTrace trace;
  std::vector<std::uint32_t> expanded;
  const index::SearchParameters parameters{
      .k = k, .beam_width = beam_width, .method = index::SearchMethod::kGraph, .expanded = &expanded};
  index::SearchRowsWithGraph(searched, query, parameters, scratch, &trace.found, &trace.counters);

  std::vector<float> distances(expanded.size());
  const index::RowDistances rows(searched.rows, searched.metric);
  rows.Gather(scratch->query_words.Prepare(searched.rows.format, query, searched.rows.columns),
              expanded.data(), expanded.size(), distances.data());
  std::unordered_map<std::uint32_t, std::int32_t> origins;  // of every vertex that one before had an edge to
  for (std::size_t i = 0; i < expanded.size(); ++i) {
    const auto position = static_cast<std::int32_t>(i);
    const auto origin = origins.find(expanded[i]);
    trace.vertices.push_back({expanded[i], distances[i], origin == origins.end() ? -1 : origin->second});
    for (const std::uint32_t neighbor : searched.graph->Neighbors(expanded[i])) {
      origins.try_emplace(neighbor, position);
    }
  }
  return trace;
}

std::vector<std::size_t> VerticesThatLed(const WalkTrace& trace) {
  std::vector<bool> led(trace.vertices.size());
  for (std::size_t i = trace.vertices.size(); i-- > 0;) {
    const TracedVertex& traced = trace.vertices[i];
    led[i] = led[i] || std::any_of(trace.found.begin(), trace.found.end(),
                                   [&](const auto& found) { return found.row == traced.vertex; });
    if (led[i] && traced.origin >= 0) led[traced.origin] = true;
  }
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < led.size(); ++i) {
    if (led[i]) positions.push_back(i);
  }
  return positions;
}

}  // namespace trivium::routing
