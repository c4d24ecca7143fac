// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_start.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/random.h"
#include "kernels/distance_table.h"

namespace trivium::routing {
namespace {

constexpr int kRounds = 3;
constexpr std::size_t kFewestRows = 4;

class Halver {
 public:
  Halver(base::MatrixView rows, std::uint64_t seed)
      : rows_(rows), random_(seed), mean_(rows.columns), direction_(rows.columns), next_(rows.columns) {}

  // Sets the split of `node` from the rows in [first, last) of `order`, and puts those of its first child
  // first.
  void Split(std::uint32_t* first, std::uint32_t* last, float* split, float* bias) {
    const std::size_t count = last - first;
    Centre(first, count);
    for (float& value : direction_) value = static_cast<float>(random_.Normal());
    if (count >= kFewestRows) {
      for (int round = 0; round < kRounds; ++round) Turn(first, count);
    }
    Normalise();
    std::vector<std::pair<float, std::uint32_t>> along(count);
    const auto product = kernels::ActiveDistances().inner_product_f32;
    double squares = 0;
    const float middle = product(mean_.data(), direction_.data(), rows_.columns);
    for (std::size_t i = 0; i < count; ++i) {
      along[i] = {product(rows_.row(first[i]), direction_.data(), rows_.columns), first[i]};
      squares += (along[i].first - middle) * (along[i].first - middle);
    }
    const std::size_t half = count / 2;
    std::nth_element(along.begin(), along.begin() + half, along.end());
    for (std::size_t i = 0; i < count; ++i) first[i] = along[i].second;
    const float median = count > 0 ? along[half].first : 0;
    const double variance = count >= kFewestRows ? squares / static_cast<double>(count) : 0;
    const float scale = variance > 0 ? static_cast<float>(1 / std::sqrt(variance)) : 1.0f;
    for (std::size_t j = 0; j < rows_.columns; ++j) split[j] = scale * direction_[j];
    *bias = -scale * median;
  }

 private:
  void Centre(const std::uint32_t* members, std::size_t count) {
    std::fill(mean_.begin(), mean_.end(), 0.0f);
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = rows_.row(members[i]);
      for (std::size_t j = 0; j < rows_.columns; ++j) mean_[j] += row[j];
    }
    if (count == 0) return;
    for (float& value : mean_) value /= static_cast<float>(count);
  }

  // One round of power iteration on the covariance of the members.
  void Turn(const std::uint32_t* members, std::size_t count) {
    Normalise();
    const auto product = kernels::ActiveDistances().inner_product_f32;
    const float middle = product(mean_.data(), direction_.data(), rows_.columns);
    std::fill(next_.begin(), next_.end(), 0.0f);
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const float* row = rows_.row(members[i]);
      const float along = product(row, direction_.data(), rows_.columns) - middle;
      sum += along;
      for (std::size_t j = 0; j < rows_.columns; ++j) next_[j] += along * row[j];
    }
    for (std::size_t j = 0; j < rows_.columns; ++j) next_[j] -= sum * mean_[j];
    const double length = std::sqrt(std::inner_product(next_.begin(), next_.end(), next_.begin(), 0.0));
    if (length > 0) direction_ = next_;
  }

  void Normalise() {
    const double length =
        std::sqrt(std::inner_product(direction_.begin(), direction_.end(), direction_.begin(), 0.0));
    for (float& value : direction_) value = static_cast<float>(value / length);
  }

  base::MatrixView rows_;
  base::Random random_;
  std::vector<float> mean_, direction_, next_;
};

}  // namespace

SplitTree HalvingTree(base::MatrixView rows, std::size_t depth, std::uint64_t seed) {
  SplitTree tree(rows.columns, depth);
  std::vector<std::uint32_t> order(rows.rows);
  std::iota(order.begin(), order.end(), 0u);
  Halver halver(rows, seed);
  std::vector<std::size_t> starts = {0, order.size()};  // of the nodes of a level, in `order`
  for (std::size_t level = 0; level < depth; ++level) {
    std::vector<std::size_t> next = {0};
    for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
      const std::size_t node = (std::size_t{1} << level) + i;
      halver.Split(order.data() + starts[i], order.data() + starts[i + 1], tree.splits.row(node - 1),
                   &tree.biases[node - 1]);
      next.push_back(starts[i] + (starts[i + 1] - starts[i]) / 2);
      next.push_back(starts[i + 1]);
    }
    starts = std::move(next);
  }
  return tree;
}

SplitTree WithHiddenLayer(const SplitTree& linear) {
  const std::size_t d = linear.dimension;
  SplitTree tree(d, linear.depth, 2 * d);
  tree.biases = linear.biases;
  for (std::size_t j = 0; j < d; ++j) {
    tree.layer.row(j)[j] = 1;
    tree.layer.row(d + j)[j] = -1;
  }
  for (std::size_t i = 0; i < linear.inner_nodes(); ++i) {
    for (std::size_t j = 0; j < d; ++j) {
      tree.splits.row(i)[j] = linear.splits.row(i)[j];
      tree.splits.row(i)[d + j] = -linear.splits.row(i)[j];
    }
  }
  return tree;
}

}  // namespace trivium::routing
