// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/cell_tree_learner.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "absl/status/status.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "routing/tree/query_scale.h"

namespace trivium::routing {
namespace {

constexpr int kPatience = 2;  // epochs without a lower loss

// What one query says of one node above its answers.
struct Vote {
  std::uint32_t node, query;
  float mass, right;  // shares of the answers below the node, and below its right child
};

void AddVotes(const CellTargets& targets, std::uint32_t query, int depth, std::vector<Vote>* votes) {
  for (int level = 0; level < depth; ++level) {
    const int below = depth - level;  // levels from a node to the leaves
    const auto first = static_cast<std::uint32_t>((1u << level) - 1);
    const std::size_t begin = votes->size();
    for (const CellTargets::Share& share : targets.Of(query)) {
      const std::uint32_t node = first + (share.cell >> below);
      if (votes->size() == begin || votes->back().node != node) votes->push_back({node, query, 0, 0});
      votes->back().mass += share.share;
      if ((share.cell >> (below - 1) & 1) != 0) votes->back().right += share.share;
    }
  }
}

// -mass x log of the probabilities of the sides, and its derivative by z.
double LossOfVote(const Vote& vote, float z, float* slope) {
  const double right = 1.0 / (1.0 + std::exp(-double{z}));
  *slope = static_cast<float>(vote.mass * right - vote.right);
  const double softplus = std::max(double{z}, 0.0) + std::log1p(std::exp(-std::abs(double{z})));
  return vote.mass * softplus - vote.right * double{z};
}

double MeanLoss(const base::AlignedMatrix& weights, int depth, base::MatrixView queries,
                const CellTargets& targets, int thread_count) {
  std::vector<double> losses(queries.rows, 0);
  std::vector<std::vector<Vote>> votes(std::max(thread_count, 1));
  base::ParallelFor(queries.rows, thread_count, 16, [&](std::size_t query, int thread) {
    votes[thread].clear();
    AddVotes(targets, static_cast<std::uint32_t>(query), depth, &votes[thread]);
    for (const Vote& vote : votes[thread]) {
      float slope;
      losses[query] += LossOfVote(vote,
                                  kernels::ActiveDistances().inner_product_f32(
                                      weights.row(vote.node), queries.row(query), queries.columns),
                                  &slope);
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(queries.rows);
}

// Adam with moments and steps of each row.
class RowAdam {
 public:
  RowAdam(std::size_t rows, std::size_t columns)
      : mean_(rows, columns), square_(rows, columns), steps_(rows, 0) {}

  void Step(std::size_t row, const float* gradient, double rate, base::AlignedMatrix* weights) {
    const double steps = ++steps_[row];
    const auto step = static_cast<float>(rate / (1 - std::pow(kMeanDecay, steps)));
    const auto square_scale = static_cast<float>(1 / (1 - std::pow(kSquareDecay, steps)));
    float* mean = mean_.row(row);
    float* square = square_.row(row);
    float* weight = weights->row(row);
    for (std::size_t j = 0; j < mean_.columns(); ++j) {
      mean[j] = kMeanDecay * mean[j] + (1 - kMeanDecay) * gradient[j];
      square[j] = kSquareDecay * square[j] + (1 - kSquareDecay) * gradient[j] * gradient[j];
      weight[j] -= step * mean[j] / (std::sqrt(square_scale * square[j]) + kTiny);
    }
  }

 private:
  static constexpr float kMeanDecay = 0.9f, kSquareDecay = 0.999f, kTiny = 1e-8f;

  base::AlignedMatrix mean_, square_;
  std::vector<std::uint32_t> steps_;
};

void Copy(const base::AlignedMatrix& from, base::AlignedMatrix* to) {
  for (std::size_t i = 0; i < from.rows(); ++i) std::copy_n(from.row(i), from.columns(), to->row(i));
}

class Learner {
 public:
  Learner(base::AlignedMatrix weights, int depth, base::MatrixView queries, const CellTargets& targets,
          int thread_count)
      : weights_(std::move(weights)),
        depth_(depth),
        queries_(queries),
        targets_(targets),
        thread_count_(std::max(thread_count, 1)),
        adam_(weights_.rows(), weights_.columns()),
        gradients_(thread_count_, weights_.columns()) {}

  void Step(std::span<const std::uint32_t> chosen, double rate) {
    votes_.clear();
    for (std::uint32_t query : chosen) AddVotes(targets_, query, depth_, &votes_);
    std::sort(votes_.begin(), votes_.end(), [](const Vote& a, const Vote& b) {
      return a.node != b.node ? a.node < b.node : a.query < b.query;
    });
    begins_.clear();
    for (std::size_t i = 0; i < votes_.size(); ++i) {
      if (i == 0 || votes_[i].node != votes_[i - 1].node) begins_.push_back(i);
    }
    begins_.push_back(votes_.size());
    const float scale = 1.0f / static_cast<float>(chosen.size());
    base::ParallelFor(begins_.size() - 1, thread_count_, 32, [&](std::size_t group, int thread) {
      float* gradient = gradients_.row(thread);
      std::fill_n(gradient, gradients_.columns(), 0.0f);
      const std::uint32_t node = votes_[begins_[group]].node;
      for (std::size_t i = begins_[group]; i < begins_[group + 1]; ++i) {
        const float* query = queries_.row(votes_[i].query);
        float slope;
        LossOfVote(votes_[i],
                   kernels::ActiveDistances().inner_product_f32(weights_.row(node), query, queries_.columns),
                   &slope);
        for (std::size_t c = 0; c < queries_.columns; ++c) gradient[c] += scale * slope * query[c];
      }
      adam_.Step(node, gradient, rate, &weights_);
    });
  }

  const base::AlignedMatrix& weights() const { return weights_; }

 private:
  base::AlignedMatrix weights_;
  int depth_;
  base::MatrixView queries_;
  const CellTargets& targets_;
  int thread_count_;
  RowAdam adam_;
  base::AlignedMatrix gradients_;  // a row a thread
  std::vector<Vote> votes_;
  std::vector<std::size_t> begins_;  // of the votes of each node, and the end
};

}  // namespace

LinearScores SplitsOfCentroids(base::MatrixView centroids) {
  const std::size_t columns = centroids.columns, inner = centroids.rows - 1;
  // Means of the leaves below each node of the whole tree, from below.
  base::AlignedMatrix means(inner + centroids.rows, columns);
  for (std::size_t i = 0; i < centroids.rows; ++i) {
    std::copy_n(centroids.row(i), columns, means.row(inner + i));
  }
  LinearScores splits{base::AlignedMatrix(inner, columns), std::vector<float>(inner)};
  for (std::size_t node = inner; node-- > 0;) {
    const float* left = means.row(2 * node + 1);
    const float* right = means.row(2 * node + 2);
    double difference = 0;  // of the squared lengths
    for (std::size_t c = 0; c < columns; ++c) {
      means.row(node)[c] = (left[c] + right[c]) / 2;
      splits.weights.row(node)[c] = right[c] - left[c];
      difference += double{right[c]} * right[c] - double{left[c]} * left[c];
    }
    splits.biases[node] = static_cast<float>(-difference / 2);
  }
  return splits;
}

double AddTreeGradient(const base::AlignedMatrix& weights, int depth, base::MatrixView queries,
                       const CellTargets& targets, std::span<const std::uint32_t> chosen,
                       base::AlignedMatrix* gradient) {
  std::vector<Vote> votes;
  for (std::uint32_t query : chosen) AddVotes(targets, query, depth, &votes);
  double loss = 0;
  const float scale = 1.0f / static_cast<float>(chosen.size());
  for (const Vote& vote : votes) {
    const float* query = queries.row(vote.query);
    float slope;
    loss += LossOfVote(
        vote, kernels::ActiveDistances().inner_product_f32(weights.row(vote.node), query, queries.columns),
        &slope);
    for (std::size_t c = 0; c < queries.columns; ++c) gradient->row(vote.node)[c] += scale * slope * query[c];
  }
  return loss * scale;
}

absl::StatusOr<LinearScores> LearnCellTree(base::MatrixView centroids, int depth, const CellTargets& training,
                                           const CellTargets& held_out, const CellLearningOptions& options) {
  const QueryScale scale(training.queries);
  const base::AlignedMatrix queries = scale.Scaled(training.queries);
  const base::AlignedMatrix held_queries = scale.Scaled(held_out.queries);
  const LinearScores start = SplitsOfCentroids(centroids);
  Learner learner(scale.ScaledScores(start.weights.view(), start.biases, options.steepness), depth,
                  queries.view(), training, options.thread_count);
  base::AlignedMatrix best(learner.weights().rows(), learner.weights().columns());
  Copy(learner.weights(), &best);
  double best_loss = MeanLoss(learner.weights(), depth, held_queries.view(), held_out, options.thread_count);
  base::Random random(options.seed);
  std::vector<std::uint32_t> order(queries.rows());
  std::iota(order.begin(), order.end(), 0u);
  int waited = 0;
  for (int epoch = 0; epoch < options.epochs && waited < kPatience; ++epoch) {
    random.Shuffle(order);
    for (std::size_t first = 0; first < order.size(); first += options.batch) {
      if (options.cancelled != nullptr && options.cancelled->load(std::memory_order_relaxed)) {
        return absl::CancelledError("cells: cancelled by the caller");
      }
      const double passed = (epoch + static_cast<double>(first) / static_cast<double>(order.size())) /
                            static_cast<double>(options.epochs);
      learner.Step(std::span(order).subspan(first, std::min(options.batch, order.size() - first)),
                   options.rate * (0.55 + 0.45 * std::cos(std::numbers::pi * passed)));
    }
    const double loss =
        MeanLoss(learner.weights(), depth, held_queries.view(), held_out, options.thread_count);
    if (loss < best_loss) {
      best_loss = loss;
      Copy(learner.weights(), &best);
      waited = 0;
    } else {
      ++waited;
    }
    if (options.progress) options.progress(epoch + 1);
  }
  return scale.Unscaled(best);
}

}  // namespace trivium::routing
