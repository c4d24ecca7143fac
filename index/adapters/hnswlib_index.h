// SPDX-License-Identifier: Apache-2.0
// hnswlib behind SearchIndex: a baseline to compare with, and an alternative to the engine's own graph.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "index/search_index.h"

namespace trivium::index {

struct HnswlibOptions {
  // Out-neighbours a vertex has on the upper layers; twice as many on the lowest (hnswlib's M). 2 to 512.
  std::size_t degree_bound = 16;
  // Candidates kept while a vertex is inserted (hnswlib's ef_construction). 8 to 4,096.
  std::size_t build_beam_width = 200;
  std::uint64_t seed = 100;

  // kInvalidArgument names the first field out of range.
  absl::Status Validate() const;
};

// Source:  Malkov and Yashunin 2018, as implemented by hnswlib 0.6.2.
// Differs: distances come from kernels/; filters, which hnswlib lacks, are met by fetching more and in the
// end by a
//          scan; with more than one thread the graph depends on their timing.
// Counts distances, not hops: hnswlib does not tell them apart by query. Bytes read are therefore a lower
// bound: the rows whose distances were computed, without links and labels.
class HnswlibIndex final : public SearchIndex {
 public:
  // `options` are valid.
  HnswlibIndex(std::size_t dimension, base::Metric metric, const HnswlibOptions& options);
  ~HnswlibIndex() override;

  std::size_t size() const override;
  std::size_t dimension() const override;
  base::Metric metric() const override { return metric_; }

  // At most 2^31 - 1 rows in all. kResourceExhausted: out of memory; the index is empty afterwards.
  absl::Status Add(base::MatrixView rows, int thread_count) override;

  void Search(const float* query, const SearchParameters& parameters, SearchScratch* scratch,
              std::vector<base::Neighbor>* found, SearchCounters* counters) const override;

 private:
  class Graph;  // hides hnswlib's types

  base::Metric metric_;
  HnswlibOptions options_;
  std::unique_ptr<Graph> graph_;
};

}  // namespace trivium::index
