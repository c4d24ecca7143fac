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
#include "index/beam_calibration.h"
#include "index/edge_codes.h"
#include "index/graph_build_options.h"
#include "index/graph_search.h"
#include "index/kept_training.h"
#include "index/profile.h"
#include "index/proximity_graph.h"
#include "index/row_codes.h"
#include "index/rows_view.h"
#include "index/search_index.h"
#include "storage/segment_file.h"

namespace trivium::index {

// Immutable; all methods are safe to call concurrently.
class VectorSegment {
 public:
  // Builds the graph over `rows` and writes everything to `path`, which must not exist yet, rows in the
  // format of the profile.
  //
  //   rows    n x dimension, finite; unit vectors for the cosine metric. Used in place: the memory needed on
  //           top is that of the profile (profile.h), without float32 rows
  //   labels  n, in the order of the rows; the segment gives them no meaning
  //
  // kInvalidArgument: options, shapes, a component beyond the range of the profile. kCancelled.
  // kAlreadyExists, kResourceExhausted and the like from writing; no file is left then.
  static absl::Status Build(base::MatrixView rows, absl::Span<const std::uint64_t> labels,
                            base::Metric metric, const GraphBuildOptions& options, const std::string& path);

  // Writes rows with what is there already to search them: in `contents`, graph null: without one, every
  // search scans; codes null: without them. The rows have the format of `profile`. `beam` and
  // `training` are kept beside a graph, for whoever opens the file: Search does not use them.
  static absl::Status Write(const SearchableRows& contents, Profile profile,
                            absl::Span<const std::uint64_t> labels, const std::string& path,
                            const DefaultBeam& beam = {}, const KeptTraining& training = {});

  // kDataLoss where the file is damaged; `verify` also reads every block and checks its checksum. Sizes,
  // counts and neighbour ids are always checked, so a search in an opened segment never leaves its bounds.
  static absl::StatusOr<std::shared_ptr<const VectorSegment>> Open(const std::string& path, bool verify);

  std::size_t size() const { return rows_.rows; }
  std::size_t dimension() const { return rows_.columns; }
  base::Metric metric() const { return metric_; }
  Profile profile() const { return profile_; }
  base::MatrixView rows() const { return rows_.floats(); }  // only of profiles that keep float32
  const float* row(std::size_t i) const { return rows().row(i); }
  const RowsView& stored_rows() const { return rows_; }
  // Row i, decoded into dimension() floats.
  void CopyRow(std::size_t i, float* out) const { rows_.CopyRow(i, out); }
  absl::Span<const std::uint64_t> labels() const { return labels_; }
  const ProximityGraph& graph() const { return graph_; }  // of no vertices where it was written without one
  const EdgeCodes* codes() const { return codes_ ? &*codes_ : nullptr; }
  const RowCodes* row_codes() const { return row_codes_ ? &*row_codes_ : nullptr; }
  const DefaultBeam& beam() const { return beam_; }
  const KeptTraining& training() const { return training_; }  // in the file, which it keeps open
  SearchableRows searchable() const;
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
  absl::Status LoadBeam(std::uint32_t width, double target_recall);
  absl::Status LoadRows(RowFormat format, std::size_t size, std::size_t dimension);
  absl::Status LoadEdgeCodes();
  absl::Status LoadRowCodes();

  std::shared_ptr<const storage::SegmentFile> file_;
  RowsView rows_;
  Profile profile_ = Profile::kSpeed;
  absl::Span<const std::uint64_t> labels_;
  base::Metric metric_ = base::Metric::kCosine;
  ProximityGraph graph_;
  DefaultBeam beam_;
  KeptTraining training_;
  std::optional<EdgeCodes> codes_;
  std::optional<RowCodes> row_codes_;
};

}  // namespace trivium::index
