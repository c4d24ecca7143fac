// SPDX-License-Identifier: Apache-2.0
#include "index/graph_index.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "index/graph_builder.h"

namespace trivium::index {

GraphIndex::GraphIndex(std::size_t dimension, base::Metric metric, const GraphBuildOptions& options)
    : rows_(dimension), graph_(options.degree_bound), metric_(metric), options_(options) {}

GraphIndex::GraphIndex(VectorRows rows, ProximityGraph graph, std::optional<EdgeCodes> codes,
                       base::Metric metric, const GraphBuildOptions& options)
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
  rows_.Append(rows);
  return rows_.size() - graph_.size() > kMaxTailRows ? Seal(thread_count) : absl::OkStatus();
}

absl::Status GraphIndex::Seal(int thread_count) {
  GraphBuildOptions options = options_;
  options.threads = thread_count;
  TRIVIUM_RETURN_IF_ERROR(ExtendGraph(rows_.view(), metric_, options, &graph_));
  if (!options_.edge_codes || dimension() < EdgeCodes::kSmallestDimension) return absl::OkStatus();
  // Taken out while they change: an exception leaves none instead of half of them.
  EdgeCodes codes = codes_ ? *std::exchange(codes_, std::nullopt)
                           : EdgeCodes(dimension(), metric_, graph_.degree_bound());
  codes.Update(rows_.view(), graph_, thread_count);
  codes_ = std::move(codes);
  return absl::OkStatus();
}

SearchableRows GraphIndex::Searchable() const { return {rows_.view(), metric_, &graph_, codes()}; }

void GraphIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                        std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchRowsWithGraph(Searchable(), query, parameters, scratch, found, counters);
}

void GraphIndex::SearchMany(base::MatrixView queries, const SearchParameters& parameters,
                            SearchScratch* scratch, std::vector<base::Neighbor>* found,
                            SearchCounters* counters) const {
  SearchRowsWithGraph(Searchable(), queries, parameters, scratch, found, counters);
}

}  // namespace trivium::index
