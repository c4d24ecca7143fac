// SPDX-License-Identifier: Apache-2.0
// The sealed form of one vector set: rows, labels and a proximity graph in one immutable, checksummed,
// memory-mapped file. Opening costs O(rows) for the check of the graph and no copy; pages come in as searches
// touch them. The blocks are drawn in vector_segment.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "index/edge_codes.h"
#include "index/graph_build_options.h"
#include "index/proximity_graph.h"
#include "index/search_index.h"
#include "storage/segment_file.h"

namespace trivium::index {

// Immutable; all methods are safe to call concurrently.
class VectorSegment {
 public:
  // Builds the graph over `rows` and writes everything to `path`, which must not exist yet.
  //
  //   rows    n x dimension, finite; unit vectors for the cosine metric. Used in place: the memory needed on
  //           top is the graph, about (degree_bound + 16) * 4 bytes a row
  //   labels  n, in the order of the rows; the segment gives them no meaning
  //
  // kInvalidArgument: options, shapes. kCancelled. kAlreadyExists, kResourceExhausted and the like from
  // writing; no file is left then.
  static absl::Status Build(base::MatrixView rows, absl::Span<const std::uint64_t> labels,
                            base::Metric metric, const GraphBuildOptions& options, const std::string& path);

  // Writes rows with a graph that is built already, and its edge codes. `graph` null: without one, every
  // search scans; `codes` null: without them.
  static absl::Status Write(base::MatrixView rows, absl::Span<const std::uint64_t> labels,
                            base::Metric metric, const ProximityGraph* graph, const EdgeCodes* codes,
                            const std::string& path);

  // kDataLoss where the file is damaged; `verify` also reads every block and checks its checksum. Sizes,
  // counts and neighbour ids are always checked, so a search in an opened segment never leaves its bounds.
  static absl::StatusOr<std::shared_ptr<const VectorSegment>> Open(const std::string& path, bool verify);

  std::size_t size() const { return rows_.rows; }
  std::size_t dimension() const { return rows_.columns; }
  base::Metric metric() const { return metric_; }
  base::MatrixView rows() const { return rows_; }
  const float* row(std::size_t i) const { return rows_.row(i); }
  absl::Span<const std::uint64_t> labels() const { return labels_; }
  const ProximityGraph& graph() const { return graph_; }  // of no vertices where it was written without one
  const EdgeCodes* codes() const { return codes_ ? &*codes_ : nullptr; }
  const std::string& path() const { return file_->path(); }
  std::uint64_t size_bytes() const { return file_->size_bytes(); }

  // Reads every block and compares its checksum; kDataLoss names the block.
  absl::Status Verify() const { return file_->VerifyBlocks(); }

  // As SearchIndex::Search: `found` holds row numbers, not labels.
  void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
              std::vector<base::Neighbor>* found, SearchCounters* counters) const;
  void SearchMany(base::MatrixView queries, const SearchParameters& parameters, SearchScratch* scratch,
                  std::vector<base::Neighbor>* found, SearchCounters* counters) const;

 private:
  VectorSegment() = default;
  absl::Status Load();
  absl::Status LoadCodes();

  std::shared_ptr<const storage::SegmentFile> file_;
  base::MatrixView rows_;
  absl::Span<const std::uint64_t> labels_;
  base::Metric metric_ = base::Metric::kCosine;
  ProximityGraph graph_;
  std::optional<EdgeCodes> codes_;
};

}  // namespace trivium::index
