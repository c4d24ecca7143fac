// SPDX-License-Identifier: Apache-2.0
#include "index/graph_index.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "index/graph_builder.h"
#include "index/graph_search.h"

namespace trivium::index {

GraphIndex::GraphIndex(std::size_t dimension, base::Metric metric, const GraphBuildOptions& options)
    : rows_(dimension), graph_(options.degree_bound), metric_(metric), options_(options) {}

GraphIndex::GraphIndex(VectorRows rows, ProximityGraph graph, base::Metric metric,
                       const GraphBuildOptions& options)
    : rows_(std::move(rows)), graph_(std::move(graph)), metric_(metric), options_(options) {}

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
  return ExtendGraph(rows_.view(), metric_, options, &graph_);
}

void GraphIndex::Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                        std::vector<base::Neighbor>* found, SearchCounters* counters) const {
  SearchRowsWithGraph(rows_.view(), metric_, graph_, query, parameters, scratch, found, counters);
}

}  // namespace trivium::index
