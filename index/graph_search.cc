// SPDX-License-Identifier: Apache-2.0
#include "index/graph_search.h"

#include <algorithm>
#include <cmath>

#include "index/beam_search.h"
#include "index/row_distances.h"
#include "index/row_scan.h"

namespace trivium::index {
namespace {

// Distances that a walk computes, fitted to 59,834 MiniLM vectors with degree bound 32: 400 at beam 16, 1,070
// at 64, 2,740 at 256, 9,500 at 1,280.
double ExpectedDistances(std::size_t beam_width, std::size_t degree_bound) {
  return 53.0 * std::pow(static_cast<double>(beam_width), 0.72) *
         std::sqrt(static_cast<double>(degree_bound) / 32.0);
}

// What a distance of a walk costs, with its share of hops and pool, where one of a scan costs 1. Measured 1.4
// to 1.9 (384 dimensions, 1,000 to 59,834 rows).
constexpr double kWalkCost = 1.5;

struct RowScorer {
  const RowDistances& distances;
  const float* query;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    distances.Gather(query, vertices, count, out);
  }
  void Prefetch(std::uint32_t vertex) { distances.Prefetch(vertex); }
};

struct CountingTracker {
  SearchCounters& counters;

  void OnScored(const std::uint32_t*, const float*, std::size_t count) { counters.graph_distances += count; }
  void OnExpanded(std::uint32_t, float) { ++counters.hops; }
};

// Every vertex may be walked over, only allowed ones are results.
struct FilterTracker {
  SearchCounters& counters;
  const base::Bitmap& allowed;
  base::TopK& top;

  void OnScored(const std::uint32_t* vertices, const float* distances, std::size_t count) {
    counters.graph_distances += count;
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] <= top.Bound() && allowed.Test(vertices[i])) top.Push({distances[i], vertices[i]});
    }
  }
  void OnExpanded(std::uint32_t, float) { ++counters.hops; }
};

// Leaves the nearest vertices of the graph in scratch->top.
void WalkGraph(const RowDistances& distances, const ProximityGraph& graph, const float* query,
               const SearchParameters& parameters, std::size_t beam_width, SearchScratch* scratch,
               SearchCounters* counters) {
  RowScorer scorer{distances, query};
  const std::uint32_t entry = graph.entry();
  if (parameters.allowed != nullptr) {
    FilterTracker tracker{*counters, *parameters.allowed, scratch->top};
    BeamSearch(graph, scorer, {&entry, 1}, beam_width, scratch, tracker);
    return;
  }
  CountingTracker tracker{*counters};
  BeamSearch(graph, scorer, {&entry, 1}, beam_width, scratch, tracker);
  const std::size_t count = std::min(parameters.k, scratch->pool.size());
  for (std::size_t i = 0; i < count; ++i) {
    scratch->top.Push({scratch->pool[i].distance, scratch->pool[i].vertex});
  }
}

}  // namespace

std::size_t EffectiveBeamWidth(const SearchParameters& parameters, std::size_t graph_size) {
  const std::size_t width =
      std::max(parameters.beam_width > 0 ? parameters.beam_width : kDefaultBeamWidth, parameters.k);
  if (parameters.allowed == nullptr) return std::min(width, graph_size);
  const std::size_t allowed = std::max<std::size_t>(parameters.allowed_count, 1);
  const double widened = static_cast<double>(width) * static_cast<double>(graph_size) / allowed;
  return static_cast<std::size_t>(
      std::clamp(widened, static_cast<double>(std::min(width, graph_size)), static_cast<double>(graph_size)));
}

bool ScanIsCheaper(std::size_t row_count, std::size_t beam_width, std::size_t degree_bound) {
  return static_cast<double>(row_count) < kWalkCost * ExpectedDistances(beam_width, degree_bound);
}

void SearchRowsWithGraph(base::MatrixView rows, base::Metric metric, const ProximityGraph& graph,
                         const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                         std::vector<base::Neighbor>* found, SearchCounters* counters) {
  SearchCounters local;
  const RowDistances distances(rows, metric);
  const std::size_t candidates =
      parameters.allowed == nullptr ? rows.rows : std::min(parameters.allowed_count, rows.rows);
  const std::size_t wanted = std::min(parameters.k, candidates);
  scratch->top.Reset(wanted);

  const std::size_t beam_width = EffectiveBeamWidth(parameters, graph.size());
  const bool scan = graph.size() == 0 || wanted == 0 || parameters.method == SearchMethod::kExact ||
                    (parameters.method == SearchMethod::kAuto &&
                     ScanIsCheaper(candidates, beam_width, graph.degree_bound()));
  if (!scan) {
    WalkGraph(distances, graph, query, parameters, beam_width, scratch, &local);
    ScanRows(distances, query, graph.size(), rows.rows, parameters.allowed, scratch, &local);
  }
  if (scan || scratch->top.size() < wanted) {
    scratch->top.Reset(wanted);
    ScanRows(distances, query, 0, rows.rows, parameters.allowed, scratch, &local);
  }
  scratch->top.DrainSorted(found);
  if (counters != nullptr) counters->Add(local);
}

}  // namespace trivium::index
