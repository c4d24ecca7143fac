// SPDX-License-Identifier: Apache-2.0
// A growing index in memory: rows with a proximity graph over them.
//
// New rows wait in a tail that every search scans, and enter the graph together once the tail is long enough
// to pay for it; so adding one row at a time stays cheap, and a small index is simply scanned.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bitmap.h"
#include "index/edge_codes.h"
#include "index/graph_build_options.h"
#include "index/graph_search.h"
#include "index/kept_training.h"
#include "index/proximity_graph.h"
#include "index/search_index.h"
#include "index/vector_rows.h"

namespace trivium::index {

// What a graph is walked by, as its profile says; nothing of the others.
struct GraphCodes {
  std::optional<EdgeCodes> edges;
  std::optional<RowCodes> rows;
};

class GraphIndex final : public SearchIndex {
 public:
  // Rows that may wait outside the graph: scanning all of them takes about half the time of a graph search.
  static constexpr std::size_t kMaxTailRows = 1024;

  // With fewer of its vertices left a graph is built anew: repairing costs as much and is no better.
  static constexpr double kSmallestKeptShare = 0.3;

  // `options` are valid. Add replaces the thread count.
  GraphIndex(std::size_t dimension, base::Metric metric, const GraphBuildOptions& options);

  // Takes over rows, in the format of the profile, with their graph, which covers the first graph.size() of
  // them, and its codes; those of the profile are made on the next Seal where there are none.
  GraphIndex(VectorRows rows, ProximityGraph graph, GraphCodes codes, base::Metric metric,
             const GraphBuildOptions& options, KeptTraining training = {});

  std::size_t size() const override { return rows_.size(); }
  std::size_t dimension() const override { return rows_.dimension(); }
  base::Metric metric() const override { return metric_; }
  base::MatrixView rows() const { return rows_.view().floats(); }  // only of profiles that keep float32
  const RowsView& stored_rows() const { return rows_.view(); }
  const ProximityGraph& graph() const { return graph_; }
  const EdgeCodes* codes() const { return codes_.edges ? &*codes_.edges : nullptr; }
  const RowCodes* row_codes() const { return codes_.rows ? &*codes_.rows : nullptr; }
  Profile profile() const { return options_.profile; }
  // What a search reads; borrowed until the index changes.
  SearchableRows searchable() const;

  absl::Status Add(base::MatrixView rows, int thread_count) override;

  // Moves the tail into the graph whatever its length, as before saving.
  absl::Status Seal(int thread_count);

  // Another graph over the same rows of it, of this degree bound, with codes where the profile has edge
  // codes.
  void Teach(ProximityGraph graph, std::optional<EdgeCodes> codes, KeptTraining training);
  // What taught the graph; kept as rows come and go.
  const KeptTraining& training() const { return training_; }

  // An index of the rows that are set in `live` (size() bits), in their order; the graph is repaired, not
  // built anew, unless most of it goes. Recall is that of a fresh build within about a point.
  absl::StatusOr<std::unique_ptr<GraphIndex>> KeepRows(const base::Bitmap& live, int thread_count) const;

  void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
              std::vector<base::Neighbor>* found, SearchCounters* counters) const override;
  void SearchMany(base::MatrixView queries, const SearchParameters& parameters, SearchScratch* scratch,
                  std::vector<base::Neighbor>* found, SearchCounters* counters) const override;

 private:
  absl::Status ExtendGraphOverRows(int thread_count);

  VectorRows rows_;
  ProximityGraph graph_;
  GraphCodes codes_;
  KeptTraining training_;
  base::Metric metric_;
  GraphBuildOptions options_;
};

}  // namespace trivium::index
