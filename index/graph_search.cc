// SPDX-License-Identifier: Apache-2.0
#include "index/graph_search.h"

#include <algorithm>
#include <cmath>

#include "index/beam_search.h"
#include "index/edge_walk.h"
#include "index/row_distances.h"
#include "index/row_scan.h"
#include "index/row_walk.h"

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

// What a hop over codes costs, likewise, beside a scan of rows of this format: 0.4 to 0.7 us against 0.055,
// 0.05 and 0.02 us (384 dimensions, `make bench-graph-life`).
double CodeHopCost(RowFormat format) {
  switch (format) {
    case RowFormat::kFloat32:
      return 8;
    case RowFormat::kFloat16:
      return 15;
    case RowFormat::kInt8:
      return 25;
  }
  return 0;  // not reached
}

// Hops of a walk over codes that may return `selectivity` of the vertices. Its beam is widened already, and
// the slack of a wide beam lets more pass.
double ExpectedHops(std::size_t beam_width, double selectivity) {
  return (10 + 0.75 * static_cast<double>(beam_width)) * std::min(1.6, 1 / selectivity);
}

std::size_t CandidateCount(const SearchableRows& searched, const SearchParameters& parameters) {
  return parameters.allowed == nullptr ? searched.rows.rows
                                       : std::min(parameters.allowed_count, searched.rows.rows);
}

bool WalksByCodes(const SearchableRows& searched) {
  return searched.edge_codes != nullptr || searched.row_codes != nullptr;
}

bool ScansRows(const SearchableRows& searched, const SearchParameters& parameters) {
  const std::size_t candidates = CandidateCount(searched, parameters);
  if (searched.graph->size() == 0 || std::min(parameters.k, candidates) == 0 ||
      parameters.method == SearchMethod::kExact) {
    return true;
  }
  if (parameters.method == SearchMethod::kGraph) return false;
  const std::size_t beam_width = EffectiveBeamWidth(parameters, searched.graph->size());
  return WalksByCodes(searched)
             ? ScanIsCheaperThanCodes(candidates, searched.rows.rows, beam_width, searched.rows.format)
             : ScanIsCheaper(candidates, beam_width, searched.graph->degree_bound());
}

struct RowScorer {
  const RowDistances& distances;
  const RowQuery& query;

  void Score(const std::uint32_t* vertices, std::size_t count, float* out) {
    distances.Gather(query, vertices, count, out);
  }
  void Prefetch(std::uint32_t vertex) { distances.Prefetch(vertex); }
};

void Note(std::uint32_t vertex, std::vector<std::uint32_t>* expanded) {
  if (expanded != nullptr) expanded->push_back(vertex);
}

struct CountingTracker {
  SearchCounters& counters;
  std::vector<std::uint32_t>* expanded;

  void OnScored(const std::uint32_t*, const float*, std::size_t count) { counters.graph_distances += count; }
  void OnExpanded(std::uint32_t vertex, float) {
    ++counters.hops;
    Note(vertex, expanded);
  }
};

// Every vertex may be walked over, only allowed ones are results.
struct FilterTracker {
  SearchCounters& counters;
  const base::Bitmap& allowed;
  base::TopK& top;
  std::vector<std::uint32_t>* expanded;

  void OnScored(const std::uint32_t* vertices, const float* distances, std::size_t count) {
    counters.graph_distances += count;
    for (std::size_t i = 0; i < count; ++i) {
      if (distances[i] <= top.Bound() && allowed.Test(vertices[i])) top.Push({distances[i], vertices[i]});
    }
  }
  void OnExpanded(std::uint32_t vertex, float) {
    ++counters.hops;
    Note(vertex, expanded);
  }
};

// Walks that take turns. By edge codes: while one computes, the block that the other will read arrives; more
// of them push each other out of the cache (measured at 384 dimensions: 1, 2, 4, 8 walks 45, 55, 51, 50
// thousand queries a second). By row codes, whose turns are short: 1, 2, 4, 8 walks 36, 46, 47, 45.
constexpr std::size_t kEdgeWalks = 2;
constexpr std::size_t kRowWalks = 4;
constexpr std::size_t kMostTurns = 16;

// Times the beam of a walk that is done again.
constexpr std::size_t kWiderAgain = 8;

// The searches of one call. Queries are named by their row in `queries`.
class GraphSearch {
 public:
  GraphSearch(const SearchableRows& searched, base::MatrixView queries, const SearchParameters& parameters,
              SearchScratch* scratch, std::vector<base::Neighbor>* found, SearchCounters* counters)
      : searched_(searched),
        graph_(*searched.graph),
        queries_(queries),
        parameters_(parameters),
        scratch_(*scratch),
        found_(found),
        counters_(counters),
        distances_(searched.rows, searched.metric),
        wanted_(std::min(parameters.k, CandidateCount(searched, parameters))),
        beam_width_(EffectiveBeamWidth(parameters, graph_.size())) {}

  bool Scans() const { return ScansRows(searched_, parameters_); }

  std::size_t query_count() const { return queries_.rows; }

  void Scan(std::size_t query) {
    scratch_.top.Reset(wanted_);
    ScanFrom(0, query);
    scratch_.top.DrainSorted(&found_[query]);
  }

  // By the distances of the rows.
  void Walk(std::size_t query) {
    scratch_.top.Reset(wanted_);
    const RowQuery prepared = Prepare(query);
    RowScorer scorer{distances_, prepared};
    const std::uint32_t entry = graph_.entry();
    SearchCounters counts;
    if (parameters_.allowed != nullptr) {
      FilterTracker tracker{counts, *parameters_.allowed, scratch_.top, parameters_.expanded};
      BeamSearch(graph_, scorer, {&entry, 1}, beam_width_, &scratch_, tracker);
    } else {
      CountingTracker tracker{counts, parameters_.expanded};
      BeamSearch(graph_, scorer, {&entry, 1}, beam_width_, &scratch_, tracker);
      const std::size_t count = std::min(parameters_.k, scratch_.pool.size());
      for (std::size_t i = 0; i < count; ++i) {
        scratch_.top.Push({scratch_.pool[i].distance, scratch_.pool[i].vertex});
      }
    }
    counts.bytes_read = counts.hops * graph_.record_bytes() + RowBytes(counts.graph_distances);
    CountersOf(query).Add(counts);
    Complete(query);
  }

  void Begin(std::size_t query, EdgeWalk* walk) {
    walk->Begin(*searched_.edge_codes,
                {.k = parameters_.k,
                 .beam_width = beam_width_,
                 .allowed = parameters_.allowed,
                 .entry = graph_.entry(),
                 .expanded = parameters_.expanded},
                queries_.row(query));
    walk->PrefetchNext();
  }
  void Begin(std::size_t query, RowWalk* walk) {
    walk->Begin(graph_, *searched_.row_codes, distances_,
                {.k = parameters_.k,
                 .beam_width = beam_width_,
                 .allowed = parameters_.allowed,
                 .metric = searched_.metric,
                 .expanded = parameters_.expanded},
                queries_.row(query));
  }

  // Part of a walk; false where it is over.
  static bool Advance(EdgeWalk* walk) {
    if (!walk->Step()) return false;
    walk->PrefetchNext();
    return true;
  }
  static bool Advance(RowWalk* walk) { return walk->Step(); }

  // Inlined by force, as RowDistances::PrefetchWhole.
  __attribute__((always_inline)) void PrefetchResults(const EdgeWalk& walk) {
    for (std::size_t i = 0; i < walk.result_count(); ++i) distances_.PrefetchWhole(walk.result(i));
  }
  void PrefetchResults(const RowWalk&) {}  // have their distances

  // Ranks the results of a finished walk by exact distances.
  void Finish(const EdgeWalk& walk, std::size_t query) {
    if (walk.result_count() < wanted_ && parameters_.allowed == nullptr) {
      Rank(WalkAgain(walk, query), query);
    } else {
      Rank(walk, query);
    }
  }

  void Finish(const RowWalk& walk, std::size_t query) {
    scratch_.top.Reset(wanted_);
    for (std::size_t i = 0; i < walk.result_count(); ++i) {
      scratch_.top.Push({walk.result(i).distance, walk.result(i).vertex});
    }
    const RowCodes& codes = *searched_.row_codes;
    CountersOf(query).Add({.hops = walk.hops(),
                           .graph_distances = walk.hops(),
                           .code_distances = walk.code_distances(),
                           .bytes_read = walk.hops() * graph_.record_bytes() +
                                         walk.code_distances() * codes.record_bytes() +
                                         codes.center_size() * sizeof(float) + RowBytes(walk.hops())});
    Complete(query);
  }

 private:
  // A narrow pool may hold the same few vertices many times and run dry before there are k results: a wider
  // one does not, and costs far less than the scan that would follow.
  const EdgeWalk& WalkAgain(const EdgeWalk& walk, std::size_t query) {
    const EdgeCodes& codes = *searched_.edge_codes;
    CountersOf(query).Add(
        {.hops = walk.hops(),
         .code_distances = walk.hops() * (codes.shape().edge_count + 1) + EdgeCodes::kEntryCount,
         .bytes_read = walk.hops() * codes.shape().bytes + codes.entry_shape().bytes});
    EdgeWalk& wide = scratch_.wide_walk;
    wide.Begin(codes,
               {.k = parameters_.k,
                .beam_width = std::max(kDefaultBeamWidth, kWiderAgain * beam_width_),
                .entry = graph_.entry(),
                .expanded = parameters_.expanded},
               queries_.row(query));
    while (wide.Step()) {
    }
    return wide;
  }

  void Rank(const EdgeWalk& walk, std::size_t query) {
    const std::size_t count = walk.result_count();
    if (scratch_.rows.size() < count) scratch_.rows.resize(count);
    if (scratch_.distances.size() < count) scratch_.distances.resize(count);
    for (std::size_t i = 0; i < count; ++i) scratch_.rows[i] = walk.result(i);
    distances_.Gather(Prepare(query), scratch_.rows.data(), count, scratch_.distances.data());
    scratch_.top.Reset(wanted_);
    for (std::size_t i = 0; i < count; ++i) scratch_.top.Push({scratch_.distances[i], scratch_.rows[i]});
    const EdgeCodes& codes = *searched_.edge_codes;
    CountersOf(query).Add(
        {.hops = walk.hops(),
         .graph_distances = count,
         .code_distances = walk.hops() * (codes.shape().edge_count + 1) + EdgeCodes::kEntryCount,
         .bytes_read = walk.hops() * codes.shape().bytes + codes.entry_shape().bytes + RowBytes(count)});
    Complete(query);
  }

  RowQuery Prepare(std::size_t query) {
    return scratch_.query_words.Prepare(searched_.rows.format, queries_.row(query), searched_.rows.columns);
  }

  SearchCounters& CountersOf(std::size_t query) { return counters_ != nullptr ? counters_[query] : ignored_; }

  std::uint64_t RowBytes(std::uint64_t count) const { return count * searched_.rows.bytes_per_row(); }

  void ScanFrom(std::size_t row, std::size_t query) {
    SearchCounters counts;
    ScanRows(distances_, Prepare(query), row, searched_.rows.rows, parameters_.allowed, &scratch_, &counts);
    counts.bytes_read = RowBytes(counts.scan_distances);
    CountersOf(query).Add(counts);
  }

  // Adds the rows that have no vertex; scans where results are missing all the same.
  void Complete(std::size_t query) {
    if (graph_.size() < searched_.rows.rows) ScanFrom(graph_.size(), query);
    if (scratch_.top.size() < wanted_) return Scan(query);
    scratch_.top.DrainSorted(&found_[query]);
  }

  const SearchableRows& searched_;
  const ProximityGraph& graph_;
  base::MatrixView queries_;
  const SearchParameters& parameters_;
  SearchScratch& scratch_;
  std::vector<base::Neighbor>* found_;  // one a query
  SearchCounters* counters_;            // likewise, or null
  SearchCounters ignored_;
  RowDistances distances_;
  std::size_t wanted_;
  std::size_t beam_width_;
};

// Walks of several queries, each of which does a part and asks for the memory of its next one before the
// others do theirs.
template <class Walk>
void TakeTurns(GraphSearch* search, std::vector<Walk>* walks) {
  enum class Stage : std::uint8_t { kIdle, kWalking, kRanking };
  struct Turn {
    std::size_t query = 0;
    Stage stage = Stage::kIdle;
  };
  Turn turns[kMostTurns] = {};
  std::size_t next = 0, left = search->query_count();
  while (left > 0) {
    for (std::size_t i = 0; i < walks->size(); ++i) {
      Turn& turn = turns[i];
      Walk& walk = (*walks)[i];
      switch (turn.stage) {
        case Stage::kWalking:
          if (!search->Advance(&walk)) {
            search->PrefetchResults(walk);
            turn.stage = Stage::kRanking;
          }
          break;
        case Stage::kRanking:
          search->Finish(walk, turn.query);
          --left;
          turn.stage = Stage::kIdle;
          [[fallthrough]];
        case Stage::kIdle:
          if (next == search->query_count()) break;
          turn.query = next++;
          search->Begin(turn.query, &walk);
          turn.stage = Stage::kWalking;
      }
    }
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

bool ScanIsCheaperThanCodes(std::size_t allowed, std::size_t row_count, std::size_t beam_width,
                            RowFormat format) {
  const double selectivity = static_cast<double>(allowed) / static_cast<double>(row_count);
  return static_cast<double>(allowed) < CodeHopCost(format) * ExpectedHops(beam_width, selectivity);
}

double ExpectedSearchDistances(const SearchableRows& searched, const SearchParameters& parameters) {
  const std::size_t candidates = CandidateCount(searched, parameters);
  if (ScansRows(searched, parameters)) return static_cast<double>(candidates);
  const std::size_t vertices = searched.graph->size();
  const auto outside = static_cast<double>(searched.rows.rows - vertices);
  const std::size_t beam_width = EffectiveBeamWidth(parameters, vertices);
  if (!WalksByCodes(searched)) {
    return outside + ExpectedDistances(beam_width, searched.graph->degree_bound());
  }
  const double selectivity = static_cast<double>(candidates) / static_cast<double>(searched.rows.rows);
  const double hops =
      std::min(ExpectedHops(beam_width, selectivity), static_cast<double>(vertices));  // each one once
  if (searched.edge_codes != nullptr) {
    const auto per_hop = static_cast<double>(searched.edge_codes->shape().edge_count + 1);
    double all_hops = hops;
    if (parameters.allowed == nullptr && 4 * parameters.k > 3 * beam_width) {  // most walks are done again
      all_hops += std::min(ExpectedHops(std::max(kDefaultBeamWidth, kWiderAgain * beam_width), 1),
                           static_cast<double>(vertices));
    }
    return outside + all_hops * per_hop + static_cast<double>(EdgeCodes::kEntryCount + parameters.k);
  }
  // A third of a vertex's neighbours are new to the walk; the vertex itself is measured exactly.
  return outside + hops * (static_cast<double>(searched.graph->degree_bound()) / 3 + 1);
}

void SearchRowsWithGraph(const SearchableRows& searched, base::MatrixView queries,
                         const SearchParameters& parameters, SearchScratch* scratch,
                         std::vector<base::Neighbor>* found, SearchCounters* counters) {
  GraphSearch search(searched, queries, parameters, scratch, found, counters);
  if (search.Scans()) {
    for (std::size_t i = 0; i < queries.rows; ++i) search.Scan(i);
  } else if (searched.edge_codes != nullptr) {
    if (scratch->edge_walks.empty()) scratch->edge_walks.resize(kEdgeWalks);
    TakeTurns(&search, &scratch->edge_walks);
  } else if (searched.row_codes != nullptr) {
    if (scratch->row_walks.empty()) scratch->row_walks.resize(kRowWalks);
    TakeTurns(&search, &scratch->row_walks);
  } else {
    for (std::size_t i = 0; i < queries.rows; ++i) search.Walk(i);
  }
}

void SearchRowsWithGraph(const SearchableRows& searched, const float* query,
                         const SearchParameters& parameters, SearchScratch* scratch,
                         std::vector<base::Neighbor>* found, SearchCounters* counters) {
  SearchRowsWithGraph(searched, base::MatrixView(query, 1, searched.rows.columns), parameters, scratch, found,
                      counters);
}

}  // namespace trivium::index
