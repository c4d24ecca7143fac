// SPDX-License-Identifier: Apache-2.0
// The vectors of pilots, arranged to find those nearest to a query: by a scan over 8-bit codes, re-ranked
// exactly, while there are few; by a proximity graph above that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/neighbor.h"
#include "index/graph_index.h"
#include "index/search_scratch.h"
#include "index/vector_segment.h"

namespace trivium::routing {

// Buffers of one thread. They grow with the largest index searched.
struct PilotSearchScratch {
  std::vector<std::int8_t> query_codes;
  std::vector<std::int32_t> dots;
  std::vector<std::uint32_t> rows;
  std::vector<float> distances;
  index::SearchScratch graph;
};

// Const functions are safe to call concurrently, each thread with a scratch of its own.
class PilotIndex {
 public:
  // Copies `vectors` (n x d, unit rows) and, with `graph_threshold` of them or more, builds a graph.
  absl::Status Build(base::MatrixView vectors, std::size_t graph_threshold);

  std::size_t size() const { return rows_.rows; }
  std::size_t dimension() const { return rows_.columns; }
  base::MatrixView rows() const { return rows_; }

  // Overwrites `found` with the min(k, size()) pilots nearest to `query` (d floats, unit), nearest first;
  // distance = -cosine, exact. Which pilots those are is approximate: scanned, a pilot is missed only where
  // more than half of k again lie within the codes' error of it.
  void Nearest(const float* query, std::size_t k, PilotSearchScratch* scratch,
               std::vector<base::Neighbor>* found) const;

  // Overwrites `similarities` with the cosine of every pilot to `query`, off by about 0.002 where there are
  // codes. A scan.
  void Similarities(const float* query, PilotSearchScratch* scratch, std::vector<float>* similarities) const;

  // A number that tells this set of vectors from any other.
  std::uint64_t fingerprint() const { return fingerprint_; }

  // An index::VectorSegment at `path`; opening it maps the file and rebuilds nothing but 8-bit codes.
  absl::Status Save(const std::string& path) const;
  absl::Status Open(const std::string& path);

 private:
  void MakeCodes();
  float DotCodes(const float* query, PilotSearchScratch* scratch) const;
  void Scan(const float* query, std::size_t k, PilotSearchScratch* scratch,
            std::vector<base::Neighbor>* found) const;

  // Exactly one of these owns the rows.
  base::AlignedMatrix scanned_;
  std::unique_ptr<index::GraphIndex> built_;
  std::shared_ptr<const index::VectorSegment> opened_;

  base::MatrixView rows_;
  std::uint64_t fingerprint_ = 0;
  std::vector<std::int8_t> codes_;  // n x code_stride_, only without a graph
  std::size_t code_stride_ = 0;
  std::vector<float> scales_;  // row i is about scales_[i] * its codes
};

// Opens `path` into `index`, which is unchanged on error. kDataLoss: damaged, or not the index of `size`
// pilots of `dimension` floats with this fingerprint, which a router was trained with.
absl::Status OpenMatchingIndex(const std::string& path, std::uint64_t fingerprint, std::size_t size,
                               std::size_t dimension, PilotIndex* index);

}  // namespace trivium::routing
