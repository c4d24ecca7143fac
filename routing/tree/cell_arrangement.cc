// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_arrangement.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/types/span.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

class Halving {
 public:
  explicit Halving(base::MatrixView rows) : rows_(rows), left_(rows.columns), right_(rows.columns) {}

  // Reorders `members` so that each half is one side.
  void Split(absl::Span<std::uint32_t> members) {
    const std::size_t half = members.size() / 2;
    // Two that are far apart: the farthest from the first, and the farthest from that one.
    const std::uint32_t one = Farthest(members, rows_.row(members[0]));
    const std::uint32_t other = Farthest(members, rows_.row(one));
    std::copy_n(rows_.row(one), rows_.columns, left_.begin());
    std::copy_n(rows_.row(other), rows_.columns, right_.begin());
    std::vector<std::uint32_t> before;
    for (int round = 0; round < kHalvingRounds; ++round) {
      for (std::size_t c = 0; c < rows_.columns; ++c) left_[c] -= right_[c];
      sides_.clear();
      for (std::uint32_t member : members) {
        const float side =
            kernels::ActiveDistances().inner_product_f32(left_.data(), rows_.row(member), rows_.columns);
        sides_.push_back({std::max(-std::numeric_limits<float>::infinity(), -side), member});
      }
      // The balance decides where the boundary lies, so no offset is needed.
      std::nth_element(sides_.begin(), sides_.begin() + half, sides_.end());
      std::sort(sides_.begin(), sides_.begin() + half, BySecond);
      std::sort(sides_.begin() + half, sides_.end(), BySecond);
      for (std::size_t i = 0; i < members.size(); ++i) members[i] = sides_[i].second;
      if (std::equal(members.begin(), members.end(), before.begin(), before.end())) return;
      before.assign(members.begin(), members.end());
      Mean(members.first(half), &left_);
      Mean(members.subspan(half), &right_);
    }
  }

 private:
  static bool BySecond(const std::pair<float, std::uint32_t>& a, const std::pair<float, std::uint32_t>& b) {
    return a.second < b.second;
  }

  std::uint32_t Farthest(absl::Span<const std::uint32_t> members, const float* from) const {
    std::uint32_t farthest = members[0];
    float most = -1;
    for (std::uint32_t member : members) {
      const float distance =
          kernels::ActiveDistances().squared_l2_f32(from, rows_.row(member), rows_.columns);
      if (distance > most) {
        most = distance;
        farthest = member;
      }
    }
    return farthest;
  }

  void Mean(absl::Span<const std::uint32_t> members, std::vector<float>* mean) const {
    std::fill(mean->begin(), mean->end(), 0.0f);
    const float share = 1.0f / static_cast<float>(members.size());
    for (std::uint32_t member : members) {
      for (std::size_t c = 0; c < rows_.columns; ++c) (*mean)[c] += share * rows_.row(member)[c];
    }
  }

  base::MatrixView rows_;
  std::vector<float> left_, right_;
  std::vector<std::pair<float, std::uint32_t>> sides_;
};

}  // namespace

std::vector<std::uint32_t> ArrangeAsLeaves(base::MatrixView centroids, int thread_count) {
  std::vector<std::uint32_t> order(centroids.rows);
  std::iota(order.begin(), order.end(), 0u);
  std::vector<Halving> halvings(std::max(thread_count, 1), Halving(centroids));
  for (std::size_t nodes = 1; nodes < centroids.rows; nodes *= 2) {
    const std::size_t size = centroids.rows / nodes;
    base::ParallelFor(nodes, thread_count, 1, [&](std::size_t node, int thread) {
      halvings[thread].Split(absl::MakeSpan(order).subspan(node * size, size));
    });
  }
  return order;
}

}  // namespace trivium::routing
