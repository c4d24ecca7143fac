// SPDX-License-Identifier: Apache-2.0
// FAISS behind SearchIndex: its exact scan and its inverted file over k-means cells, to compare with and as
// alternatives to the engine's own.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "index/search_index.h"

namespace trivium::index {

struct FaissOptions {
  enum class Kind {
    kFlat,   // scans all rows (IndexFlat)
    kCells,  // scans the rows of the cells nearest to the query (IndexIVFFlat)
  };
  Kind kind = Kind::kFlat;

  // Cells the rows of the first Add are split into. 0: four times the square root of their number. More:
  // fewer rows a cell, more cells to compare. Never more than those rows. 0 to 1,048,576.
  std::size_t cell_count = 0;
  // Cells scanned by a search whose beam_width is 0. More: better recall, slower in proportion. At least 1.
  std::size_t probed_cells = 16;
  int seed = 1234;  // of k-means

  // kInvalidArgument names the first field out of range.
  absl::Status Validate() const;
};

// For kCells `SearchParameters::beam_width` counts cells, and a filter that leaves too few rows in them makes
// the search go on to further cells, all of them in the end. kExact scans all cells. Searching starts no
// thread; building uses OpenMP with the number of threads asked for. Bytes read are a lower bound: the rows
// and centroids whose distances were computed, without ids.
class FaissIndex final : public SearchIndex {
 public:
  // `options` are valid.
  FaissIndex(std::size_t dimension, base::Metric metric, const FaissOptions& options);
  ~FaissIndex() override;

  std::size_t size() const override;
  std::size_t dimension() const override { return dimension_; }
  base::Metric metric() const override { return metric_; }

  // The rows of the first call decide the cells for good. kInvalidArgument, with nothing added: for kCells, a
  // row that is not finite or longer than about 6e18. kResourceExhausted: out of memory; the index is empty
  // afterwards, as after kInternal, an exception of FAISS.
  absl::Status Add(base::MatrixView rows, int thread_count) override;

  void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
              std::vector<base::Neighbor>* found, SearchCounters* counters) const override;

 private:
  class Rows;  // hides FAISS's types
  class FlatRows;
  class CellRows;

  std::size_t dimension_;
  base::Metric metric_;
  FaissOptions options_;
  std::unique_ptr<Rows> rows_;  // null until the first row
};

}  // namespace trivium::index
