// SPDX-License-Identifier: Apache-2.0
// What walks of a graph cost at a recall, and whether another graph's cost less: recall and hops of each
// query over a range of beam widths, hops at a recall by interpolation.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "index/graph_search.h"
#include "routing/expert/answer_statistics.h"

namespace trivium::routing {

// The beam widths that are measured.
inline constexpr std::array<std::size_t, 15> kCostWidths = {10, 12, 16, 20,  24,  32,  40, 48,
                                                            64, 80, 96, 128, 160, 192, 256};
inline constexpr std::size_t kCostResults = 10;

// Distances of the kCostResults rows nearest to each query, by scanning all.
struct NearestDistances {
  base::MatrixView queries;  // borrowed
  std::vector<float> last;   // the farthest of them, of each query
  std::size_t count = 0;     // of them: kCostResults or the number of rows
};
absl::StatusOr<NearestDistances> ScanNearest(const index::SearchableRows& searched, base::MatrixView queries,
                                             int thread_count, const std::atomic<bool>* cancelled);

class WalkCosts {
 public:
  // Walks for every query with every width. kCancelled. Cost: about 0.5 ms a query at 160,955 x 384.
  // `after_width` is called after each of kCostWidths.
  static absl::StatusOr<WalkCosts> Measure(const index::SearchableRows& searched,
                                           const NearestDistances& truth, int thread_count,
                                           const std::atomic<bool>* cancelled,
                                           const std::function<void()>& after_width = {});

  std::size_t query_count() const { return query_count_; }
  // Means over `sample` (positions of queries, repeats allowed; empty: all) with width kCostWidths[width].
  double Recall(std::size_t width, absl::Span<const std::uint32_t> sample = {}) const;
  double Hops(std::size_t width, absl::Span<const std::uint32_t> sample = {}) const;

  // Hops at `recall`, the logarithm interpolated between widths; those of the narrowest or widest beam where
  // recall is outside of what they reach.
  double HopsAt(double recall, absl::Span<const std::uint32_t> sample = {}) const;

 private:
  std::size_t query_count_ = 0;
  double wanted_ = 1;                // results of a query
  std::vector<std::uint16_t> hits_;  // of each query with each width
  std::vector<std::uint32_t> hops_;  // likewise
};

// Hops of `after` over those of `before` at equal recall, and its 95 % bootstrap interval over queries, of
// which both have the same.
struct HopRatio {
  double recall = 0;             // at which they are compared
  double before = 0, after = 0;  // hops
  double ratio = 1;
  Interval interval;
};
HopRatio CompareHops(const WalkCosts& before, const WalkCosts& after, double recall, std::uint64_t seed);

}  // namespace trivium::routing
