// SPDX-License-Identifier: Apache-2.0
// What is behind trivium::VectorIndex: one of the indexes of index/, with labels for its rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/label_table.h"
#include "api/vector_rules.h"
#include "base/bitmap.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "base/neighbor.h"
#include "index/beam_calibration.h"
#include "index/flat_index.h"
#include "index/graph_index.h"
#include "index/search_index.h"
#include "index/search_scratch.h"
#include "index/vector_rows.h"
#include "trivium/vector_index.h"

namespace trivium {

absl::Status VectorIndexOutOfMemory(std::string_view doing);

// What one searching thread needs.
struct VectorSearchBuffers {
  index::SearchScratch scratch;
  std::vector<std::vector<base::Neighbor>> found;  // of each query of a chunk
  std::vector<index::SearchCounters> counters;     // likewise
  std::vector<float> queries;                      // unit copies, for the cosine metric
};

// Lends buffers to threads; one lock a search.
class VectorSearchBufferPool {
 public:
  std::unique_ptr<VectorSearchBuffers> Take() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (free_.empty()) return std::make_unique<VectorSearchBuffers>();
    std::unique_ptr<VectorSearchBuffers> buffers = std::move(free_.back());
    free_.pop_back();
    return buffers;
  }
  void Return(std::unique_ptr<VectorSearchBuffers> buffers) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(buffers));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<VectorSearchBuffers>> free_;
};

struct VectorFilter::Rows {
  base::Bitmap allowed;
  std::size_t allowed_count = 0;
  std::uint64_t version = 0;  // of the index it was made for
};

struct VectorIndex::Impl {
  explicit Impl(const VectorIndexOptions& options);

  bool UsesAdapter() const { return graph == nullptr && flat == nullptr; }
  const index::RowsView& Rows() const;  // with removed ones
  index::KeptTraining Training() const {
    return graph != nullptr ? graph->training() : index::KeptTraining();
  }
  index::GraphBuildOptions GraphOptions() const;

  // Makes an index of `rows`, in the format of the profile, in place of what there is; labels are left as
  // they are.
  absl::Status Adopt(index::VectorRows rows);
  void AdoptGraph(index::VectorRows rows, index::ProximityGraph built, index::GraphCodes codes,
                  index::KeptTraining training = {});
  index::VectorRows NoRows() const;  // in the format of the profile

  // A batch to add; `scales`, empty, takes what its rows are to be multiplied with.
  absl::Status CheckBatch(absl::Span<const std::uint64_t> batch_labels, const MatrixView& rows,
                          std::vector<float>* scales) const;
  absl::Status Append(absl::Span<const std::uint64_t> batch_labels, base::MatrixView rows);
  absl::Status Remove(absl::Span<const std::uint64_t> removed);
  absl::Status Rebuild();  // without the removed rows

  // Aligned copies, of unit length for the cosine metric. kInvalidArgument.
  absl::StatusOr<base::AlignedMatrix> PrepareQueries(MatrixView queries) const;

  absl::Status CheckSearch(const VectorSearchOptions& search) const;
  // All arguments are checked; the pointers have room for queries.rows (x k).
  absl::Status SearchMany(MatrixView queries, const std::vector<float>& scales,
                          const VectorSearchOptions& search, int threads, std::uint64_t* found_labels,
                          float* scores, std::size_t* counts, VectorSearchStats* stats) const;

  VectorIndexOptions options;
  index::DefaultBeam beam;
  std::size_t untaught_rows = 0;  // added since queries taught the graph
  LabelTable labels;
  std::uint64_t version;  // differs for every state of every index

  std::unique_ptr<index::SearchIndex> index;
  index::GraphIndex* graph = nullptr;  // `index`, where it is one
  index::FlatIndex* flat = nullptr;    // likewise
  index::VectorRows copies;            // the rows of the adapters, which do not show theirs
  mutable VectorSearchBufferPool buffers;

 private:
  void TeachNewRows();
  void DropHalfAdded();
  index::SearchParameters Parameters(const VectorSearchOptions& search) const;
  // Searches for `queries` into work->found and work->counters.
  void SearchChunk(base::MatrixView queries, const float* scales, const index::SearchParameters& parameters,
                   VectorSearchBuffers* work) const;
};

}  // namespace trivium
