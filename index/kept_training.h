// SPDX-License-Identifier: Apache-2.0
// What taught a graph, kept beside it: so that it can be taught again as rows come and go, undone, and
// compared with what it was.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "index/learned_edges.h"
#include "storage/segment_file.h"

namespace trivium::index {

inline constexpr std::size_t kMostRecordBytes = std::size_t{64} << 10;

// Cheap to copy: the queries and edges are shared.
struct KeptTraining {
  std::string record;        // JSON in one line; empty: nothing taught the graph
  base::MatrixView queries;  // dimension columns; those held out for the gate first
  std::size_t held_out = 0;  // of the queries
  absl::Span<const LearnedEdge> edges;
  std::shared_ptr<const void> queries_owner, edges_owner;

  bool empty() const { return record.empty(); }

  void SetQueries(base::AlignedMatrix values);
  void SetEdges(std::vector<LearnedEdge> values);
};

// Adds its blocks, none of an empty one.
absl::Status WriteTraining(const KeptTraining& training, storage::SegmentFileWriter* writer);

// Reads them, in place, for a graph of `size` vertices; empty where there are none. kDataLoss.
absl::StatusOr<KeptTraining> ReadTraining(const std::shared_ptr<const storage::SegmentFile>& file,
                                          std::size_t size, std::size_t dimension);

}  // namespace trivium::index
