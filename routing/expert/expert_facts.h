// SPDX-License-Identifier: Apache-2.0
// What is known of experts without a single judged query: what they hold, what they say of themselves, and
// how much their answers agree.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "routing/expert/pilot_set.h"

namespace trivium::routing {

// How the vectors of one set are spread, each dimension by itself.
struct VectorMoments {
  double count = 0;             // vectors in the set
  std::vector<float> mean;      // d
  std::vector<float> variance;  // d, >= 0
};

// Moments of the rows added, in one pass.
class MomentSums {
 public:
  explicit MomentSums(std::size_t dimension) : sums_(dimension, 0.0), squares_(dimension, 0.0) {}

  void Add(const float* row) {
    ++added_;
    for (std::size_t c = 0; c < sums_.size(); ++c) {
      sums_[c] += row[c];
      squares_[c] += double{row[c]} * row[c];
    }
  }

  // `count`: vectors of the set, of which those added are a sample. At least one was added.
  VectorMoments Finish(double count) const {
    VectorMoments moments{count, std::vector<float>(sums_.size()), std::vector<float>(sums_.size())};
    const auto n = static_cast<double>(added_);
    for (std::size_t c = 0; c < sums_.size(); ++c) {
      const double mean = sums_[c] / n;
      moments.mean[c] = static_cast<float>(mean);
      moments.variance[c] = static_cast<float>(std::max(0.0, squares_[c] / n - mean * mean));
    }
    return moments;
  }

 private:
  std::size_t added_ = 0;
  std::vector<double> sums_, squares_;
};

// Vectors of several sets in groups: those of one set that lie in one node of a partition tree, or that are
// alike.
struct CellGroups {
  base::AlignedMatrix directions;  // G x d: of their sum, unit rows; zeros where they cancel each other out
  std::vector<float> shares;       // G, in (0, 1]: of the set's vectors. Those of a set sum to 1
};

// Of all columns of a router, in the router space.
struct ExpertFacts {
  struct Expert {
    std::vector<std::uint32_t> sets;   // what it searches: indexes into `sets`; none: not known
    std::vector<std::uint32_t> cells;  // likewise, by cells: indexes into `cells`
    base::AlignedMatrix description;   // what it says of itself: n x d, unit rows; none: nothing
  };
  std::size_t dimension = 0;
  std::vector<VectorMoments> sets;
  CellGroups cells;              // of each set; none where directions do not tell what is near
  bool cells_are_nodes = false;  // of the router space's partition tree; else each set's own clusters
  std::vector<Expert> experts;
  // Unlabelled queries; in place of utilities each expert's agreement (routing/expert/answer_agreement.h),
  // NaN where it was not compared with others. May be empty.
  PilotSet agreement;

  // A copy in which of all queries only those of `rows` speak; no row is looked at where there are none.
  ExpertFacts OfQueries(absl::Span<const std::uint32_t> rows) const;
};

}  // namespace trivium::routing
