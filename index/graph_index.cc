// SPDX-License-Identifier: Apache-2.0
#include "index/graph_index.h"

#include <cassert>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/aligned_matrix.h"
#include "base/status_macros.h"
#include "base/thread_pool.h"
#include "index/graph_builder.h"
#include "index/graph_repair.h"

namespace trivium::index {

GraphIndex::GraphIndex(std::size_t dimension, base::Metric metric, const GraphBuildOptions& options)
    : rows_(dimension, FormatOf(options.profile), metric),
      graph_(DegreeBoundOf(options.profile, options.degree_bound)),
      metric_(metric),
      options_(options) {}

GraphIndex::GraphIndex(VectorRows rows, ProximityGraph graph, GraphCodes codes, base::Metric metric,
                       const GraphBuildOptions& options, KeptTraining training)
    : rows_(std::move(rows)),
      graph_(std::move(graph)),
      codes_(std::move(codes)),
      training_(std::move(training)),
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
  return ExtendGraph(rows_.view(), metric_, options, &graph_);
}

absl::StatusOr<std::unique_ptr<GraphIndex>> GraphIndex::KeepRows(const base::Bitmap& live,
                                                                 int thread_count) const {
  GraphBuildOptions options = options_;
  options.threads = thread_count;
  base::Bitmap kept(graph_.size()), removed(graph_.size());
  for (std::size_t i = 0; i < graph_.size(); ++i) (live.Test(i) ? kept : removed).Set(i);
  ProximityGraph graph(graph_.degree_bound());
  if (kept.CountSet() > kSmallestKeptShare * static_cast<double>(graph_.size())) {
    ProximityGraph copy(graph_.words(), graph_.size(), graph_.degree_bound(), graph_.entry());
    copy.Resize(graph_.size());  // makes it its own
    TRIVIUM_RETURN_IF_ERROR(RemoveVertices(rows_.view(), metric_, options, removed, &copy));
    graph = KeepVertices(copy, kept);
  }
  VectorRows rows(dimension(), rows_.format(), metric_);
  rows.Reserve(live.CountSet());
  live.ForEachSet([&](std::size_t i) { rows.AppendEncoded(rows_.view(), i); });
  GraphCodes codes;
  if (codes_.edges && codes_.edges->spread() != nullptr) {
    codes.edges.emplace(dimension(), metric_, graph_.degree_bound());
    codes.edges->SetSpread(codes_.edges->spread());
  }
  auto index =
      std::make_unique<GraphIndex>(std::move(rows), std::move(graph), std::move(codes), metric_, options_);
  const bool is_kept = graph_.size() * kSmallestKeptShare < static_cast<double>(live.CountSet());
  if (is_kept && !training_.empty()) {
    index->training_ = training_;
    index->training_.SetEdges(KeepLearnedEdges(training_.edges, live));
  }
  if (index->size() <= kMaxTailRows) return index;
  TRIVIUM_RETURN_IF_ERROR(index->Seal(thread_count));
  if (!is_kept) return index;
  if (!codes_.edges || codes_.edges->given_entries().empty()) return index;
  std::vector<std::uint32_t> number(live.size()), entries;
  std::uint32_t count = 0;
  live.ForEachSet([&](std::size_t i) { number[i] = count++; });
  for (const std::uint32_t entry : codes_.edges->given_entries()) {
    if (live.Test(entry)) entries.push_back(number[entry]);
  }
  index->codes_.edges->SetEntries(index->rows(), std::move(entries));
  return index;
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
    RowCodes codes = codes_.rows ? *std::exchange(codes_.rows, std::nullopt) : RowCodes(dimension(), metric_);
    codes.Update(rows_.view(), thread_count);
    codes_.rows = std::move(codes);
  }
  return absl::OkStatus();
}

void GraphIndex::Teach(ProximityGraph graph, std::optional<EdgeCodes> codes, KeptTraining training) {
  assert(graph.size() == graph_.size() && graph.degree_bound() == graph_.degree_bound());
  graph_ = std::move(graph);
  codes_.edges = std::move(codes);
  training_ = std::move(training);
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
