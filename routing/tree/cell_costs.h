// SPDX-License-Identifier: Apache-2.0
// What a router's order of cells costs at a recall: hits and rows read of each query over a range of numbers
// of cells.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"
#include "routing/expert/answer_statistics.h"
#include "routing/tree/cell_lists.h"
#include "routing/tree/cell_model.h"

namespace trivium::routing {

class CellCosts {
 public:
  // Of `model` with `kind`, for `answer_count` answers of each query, which are rows of `lists`. kCancelled.
  // Cost: a ranking of all cells a query; for kTree and kLevels one of each number of cells.
  static absl::StatusOr<CellCosts> Measure(const CellModel& model, CellRouterKind kind,
                                           const CellLists& lists, base::MatrixView queries,
                                           absl::Span<const std::uint32_t> answers, std::size_t answer_count,
                                           int thread_count, const std::atomic<bool>* cancelled = nullptr);

  // At `recall`, interpolated between numbers of cells; means over `sample` (positions of queries, repeats
  // allowed; empty: all). At the largest number measured where recall is beyond it.
  struct Cost {
    double probes = 0;    // cells read
    double scanned = 0;   // rows read
    double products = 0;  // inner products of the router
  };
  Cost At(double recall, absl::Span<const std::uint32_t> sample = {}) const;

  // Whether `recall` was reached: by a beam only so many cells are asked for.
  bool Reaches(double recall) const { return Recall(usable_ - 1) >= recall; }

  std::size_t query_count() const { return query_count_; }
  absl::Span<const std::uint32_t> probes() const { return probes_; }
  // How many of probes() were measured: recall is nearly 1 at the last of them.
  std::size_t step_count() const { return usable_; }
  // Of one query at one step.
  std::uint32_t Hits(std::size_t query, std::size_t step) const {
    return hits_[query * probes_.size() + step];
  }
  std::uint32_t Rows(std::size_t query, std::size_t step) const {
    return scanned_[query * probes_.size() + step];
  }
  double Products(std::size_t step) const { return products_[step]; }

  double Recall(std::size_t step, absl::Span<const std::uint32_t> sample = {}) const;
  double Scanned(std::size_t step, absl::Span<const std::uint32_t> sample = {}) const;

 private:
  std::size_t query_count_ = 0, answer_count_ = 1;
  std::vector<std::uint32_t> probes_;   // of each step, increasing
  std::size_t usable_ = 0;              // steps that were measured
  std::vector<double> products_;        // of a query at each step
  std::vector<std::uint16_t> hits_;     // of each query at each step
  std::vector<std::uint32_t> scanned_;  // likewise
};

// Rows read plus products of `after` over those of `before`, measured on the same queries, at equal recall,
// with the bootstrap's 95 % interval.
struct CellCostRatio {
  double ratio = 1;
  Interval interval;
};
CellCostRatio CompareCellCosts(const CellCosts& before, const CellCosts& after, double recall,
                               std::uint64_t seed);

}  // namespace trivium::routing
