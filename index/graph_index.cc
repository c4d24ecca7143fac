// SPDX-License-Identifier: Apache-2.0
#include "index/graph_index.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/graph_builder.h"

namespace trivium::index {

GraphIndex::GraphIndex(std::size_t dimension, base::Metric metric, const GraphBuildOptions& options)
    : rows_(dimension, FormatOf(options.profile), metric),
      graph_(DegreeBoundOf(options.profile, options.degree_bound)),
      metric_(metric),
      options_(options) {}

GraphIndex::GraphIndex(VectorRows rows, ProximityGraph graph, GraphCodes codes, base::Metric metric,
                       const GraphBuildOptions& options)
    : rows_(std::move(rows)),
      graph_(std::move(graph)),
      codes_(std::move(codes)),
      metric_(metric),
      options_(options) {}

absl::Status GraphIndex::Add(base::MatrixView rows, int thread_count) {
  if (rows.columns != dimension()) {
    return absl::InvalidArgumentError(
        absl::StrCat("vector dimension: ", rows.columns, ", expected ", dimension()));
  }
  TRIVIUM_RETURN_IF_ERROR(rows_.Append(rows));
  return rows_.size() - graph_.size() > kMaxTailRows ? Seal(thread_count) : absl::OkStatus();
}

absl::Status GraphIndex::ExtendGraphOverRows(int thread_count) {
  GraphBuildOptions options = options_;
  options.threads = thread_count;
  if (rows_.size() == graph_.size()) return absl::OkStatus();
  if (rows_.format() == RowFormat::kFloat32) return ExtendGraph(rows_.view().floats(), metric_, options, &graph_);
  // Decoded while the graph grows.
  base::AlignedMatrix decoded(rows_.size(), dimension());
  base::ParallelFor(rows_.size(), base::ResolveThreadCount(thread_count), 256,
                    [&](std::size_t i, int) { rows_.view().CopyRow(i, decoded.row(i)); });
  return ExtendGraph(decoded.view(), metric_, options, &graph_);
}

absl::Status GraphIndex::Seal(int thread_count) {
  TRIVIUM_RETURN_IF_ERROR(ExtendGraphOverRows(thread_count));
  // Codes are taken out while they change: an exception leaves none instead of half of them.
  if (UsesEdgeCodes(options_.profile, dimension())) {
    EdgeCodes codes = codes_.edges ? *std::exchange(codes_.edges, std::nullopt)
                                   : EdgeCodes(dimension(), metric_, graph_.degree_bound());
    codes.Update(rows_.view().floats(), graph_, thread_count);
    codes_.edges = std::move(codes);
  }
  if (UsesRowCodes(options_.profile, dimension()) && (!codes_.rows || codes_.rows->size() < rows_.size())) {
    RowCodes codes =
        codes_.rows ? *std::exchange(codes_.rows, std::nullopt) : RowCodes(dimension(), metric_);
    codes.Update(rows_.view(), thread_count);
    codes_.rows = std::move(codes);
  }
  return absl::OkStatus();
}

SearchableRows GraphIndex::searchable() const {
  return {.rows = rows_.view(),
          .metric = metric_,
          .graph = &graph_,
          .edge_codes = codes(),
          .row_codes = row_codes()};
}

void GraphIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                        std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchRowsWithGraph(searchable(), query, parameters, scratch, found, counters);
}

void GraphIndex::SearchMany(base::MatrixView queries, const SearchParameters& parameters,
                            SearchScratch* scratch, std::vector<base::Neighbor>* found,
                            SearchCounters* counters) const {
  SearchRowsWithGraph(searchable(), queries, parameters, scratch, found, counters);
}

}  // namespace trivium::index
