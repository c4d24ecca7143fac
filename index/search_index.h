// SPDX-License-Identifier: Apache-2.0
// What every index over one set of rows can do: find the rows nearest to a query.
//
// index/ owns the search inside one vector set. It knows rows by number only: labels, documents, experts and
// routing are the business of the layers above.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/bitmap.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "base/neighbor.h"

namespace trivium::index {

struct SearchScratch;  // index/search_scratch.h: buffers of one thread, reused from query to query

// What a search cost. Deterministic for a given index and query.
struct SearchCounters {
  std::uint64_t hops = 0;  // vertices expanded
  std::uint64_t graph_distances =
      0;                             // exact distances computed while walking a graph, or to rank its results
  std::uint64_t scan_distances = 0;  // exact distances computed by scanning rows
  std::uint64_t code_distances = 0;  // distances estimated from codes
  // Bytes of blocks, neighbour lists, codes and rows read, each whole, with its padding, every time it is
  // read. Derived from the counts above when a search ends. hnswlib and FAISS: a lower bound, the rows alone.
  std::uint64_t bytes_read = 0;

  bool operator==(const SearchCounters&) const = default;
  std::uint64_t distances() const { return graph_distances + scan_distances + code_distances; }
  void Add(const SearchCounters& other) {
    hops += other.hops;
    graph_distances += other.graph_distances;
    scan_distances += other.scan_distances;
    code_distances += other.code_distances;
    bytes_read += other.bytes_read;
  }
};

enum class SearchMethod : std::uint8_t {
  kAuto,   // the cheaper of the two for this size and filter
  kGraph,  // the graph (or the adapter's own structure) even where a scan would be cheaper
  kExact,  // scan every allowed row
};

struct SearchParameters {
  std::size_t k = 10;          // >= 1
  std::size_t beam_width = 0;  // 0: the index's default; otherwise used as max(beam_width, k)
  SearchMethod method = SearchMethod::kAuto;
  const base::Bitmap* allowed = nullptr;  // null: every row. Size >= size() of the index
  std::size_t allowed_count = 0;          // set bits of `allowed`, where it is not null
  // Null, or takes the vertices that are expanded, in order: for whoever looks at the search of one query.
  std::vector<std::uint32_t>* expanded = nullptr;
};

class SearchIndex {
 public:
  virtual ~SearchIndex() = default;

  virtual std::size_t size() const = 0;       // rows
  virtual std::size_t dimension() const = 0;  // floats a row
  virtual base::Metric metric() const = 0;

  // Appends `rows` as rows size(), size() + 1, ... For the cosine metric rows are unit vectors already.
  // Must not run at the same time as any other call.
  virtual absl::Status Add(base::MatrixView rows, int thread_count) = 0;

  // Overwrites `found` with the nearest allowed rows, nearest first: exactly min(k, allowed rows) of them.
  // Never fewer, whatever the filter. For the cosine metric `query` is a unit vector.
  // `counters` may be null. Safe to call concurrently, each thread with a scratch of its own.
  virtual void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
                      std::vector<base::Neighbor>* found, SearchCounters* counters) const = 0;

  // Search for each row of `queries`, as one by one but maybe faster. `found`: one list for each; `counters`:
  // null, or one for each.
  virtual void SearchMany(base::MatrixView queries, const SearchParameters& parameters,
                          SearchScratch* scratch, std::vector<base::Neighbor>* found,
                          SearchCounters* counters) const {
    for (std::size_t i = 0; i < queries.rows; ++i) {
      Search(queries.row(i), parameters, scratch, &found[i], counters != nullptr ? &counters[i] : nullptr);
    }
  }
};

}  // namespace trivium::index
