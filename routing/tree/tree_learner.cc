// SPDX-License-Identifier: Apache-2.0
#include "routing/tree/tree_learner.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/thread_pool.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {
namespace {

void SetZero(base::AlignedMatrix* matrix) {
  const std::size_t rows = matrix->rows();
  matrix->Resize(0);
  matrix->Resize(rows);
}

// n rows; their contents do not matter.
void Size(std::size_t rows, std::size_t columns, base::AlignedMatrix* matrix) {
  if (matrix->columns() != columns) *matrix = base::AlignedMatrix(columns);
  matrix->Resize(rows);
}

base::AlignedMatrix Transposed(const base::AlignedMatrix& matrix) {
  base::AlignedMatrix out(matrix.columns(), matrix.rows());
  for (std::size_t i = 0; i < matrix.rows(); ++i) {
    for (std::size_t j = 0; j < matrix.columns(); ++j) out.row(j)[i] = matrix.row(i)[j];
  }
  return out;
}

}  // namespace

TreeLearner::TreeLearner(SplitTree start, float steepness, double rate)
    : tree_(std::move(start)),
      biases_(1, tree_.inner_nodes()),
      layer_biases_(1, std::max<std::size_t>(1, tree_.layer.rows())),
      steepness_(1, 1),
      split_gradient_(tree_.inner_nodes(), tree_.features()),
      bias_gradient_(1, tree_.inner_nodes()),
      layer_gradient_(tree_.layer.rows(), tree_.dimension),
      layer_bias_gradient_(1, std::max<std::size_t>(1, tree_.layer.rows())),
      steepness_gradient_(1, 1),
      split_steps_(rate),
      bias_steps_(rate),
      layer_steps_(rate),
      layer_bias_steps_(rate),
      steepness_steps_(rate) {
  std::copy(tree_.biases.begin(), tree_.biases.end(), biases_.row(0));
  std::copy(tree_.layer_biases.begin(), tree_.layer_biases.end(), layer_biases_.row(0));
  steepness_.row(0)[0] = std::log(steepness);
}

float TreeLearner::steepness() const { return std::exp(steepness_.row(0)[0]); }

void TreeLearner::Forward(base::MatrixView rows, int thread_count) {
  rows_ = rows;
  base::MatrixView in = rows;
  if (tree_.layer.rows() > 0) {
    Size(rows.rows, tree_.layer.rows(), &features_);
    kernels::MultiplyByTransposed(rows, tree_.layer.view(), thread_count, &features_);
    for (std::size_t i = 0; i < rows.rows; ++i) {
      float* row = features_.row(i);
      for (std::size_t j = 0; j < tree_.layer.rows(); ++j)
        row[j] = std::max(0.0f, row[j] + layer_biases_.row(0)[j]);
    }
    in = features_.view();
  }
  Size(rows.rows, tree_.inner_nodes(), &products_);
  Size(rows.rows, tree_.nodes(), &probabilities_);
  Size(rows.rows, tree_.nodes(), &gradient_);
  SetZero(&gradient_);
  kernels::MultiplyByTransposed(in, tree_.splits.view(), thread_count, &products_);
  const float s = steepness();
  base::ParallelFor(rows.rows, thread_count, 16, [&](std::size_t i, int) {
    std::vector<float> logits(tree_.inner_nodes());
    float* row = products_.row(i);
    for (std::size_t j = 0; j < tree_.inner_nodes(); ++j) {
      row[j] += biases_.row(0)[j];
      logits[j] = s * row[j];
    }
    ProbabilitiesFromLogits(logits.data(), tree_.depth, probabilities_.row(i));
  });
}

void TreeLearner::Backward(int thread_count) {
  const std::size_t inner = tree_.inner_nodes();
  Size(rows_.rows, inner, &logit_gradient_);
  const float s = steepness();
  std::vector<double> by_steepness(rows_.rows);
  base::ParallelFor(rows_.rows, thread_count, 16, [&](std::size_t i, int) {
    float* slope = gradient_.row(i);
    const float* p = probabilities_.row(i);
    float* by_logit = logit_gradient_.row(i);
    // Of children before their parents: slope[v] becomes the derivative with all below it.
    for (std::size_t v = inner; v >= 1; --v) {
      const float to_first = slope[2 * v], to_second = slope[2 * v + 1];
      const float second = p[v] > 0 ? p[2 * v + 1] / p[v] : 0.5f;
      slope[v] += (1 - second) * to_first + second * to_second;
      by_logit[v - 1] = p[v] * (to_second - to_first) * second * (1 - second);
    }
    double sum = 0;
    for (std::size_t j = 0; j < inner; ++j) {
      sum += by_logit[j] * products_.row(i)[j];
      by_logit[j] *= s;
    }
    by_steepness[i] = s * sum;
  });
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    steepness_gradient_.row(0)[0] += static_cast<float>(by_steepness[i]);
    for (std::size_t j = 0; j < inner; ++j) bias_gradient_.row(0)[j] += logit_gradient_.row(i)[j];
  }
  const bool linear = tree_.layer.rows() == 0;
  kernels::AddTransposedProduct(logit_gradient_.view(), linear ? rows_ : features_.view(), {}, thread_count,
                                &split_gradient_);
  if (linear) return;
  Size(rows_.rows, tree_.layer.rows(), &feature_gradient_);
  const base::AlignedMatrix splits = Transposed(tree_.splits);
  kernels::MultiplyByTransposed(logit_gradient_.view(), splits.view(), thread_count, &feature_gradient_);
  for (std::size_t i = 0; i < rows_.rows; ++i) {
    float* slope = feature_gradient_.row(i);
    for (std::size_t j = 0; j < tree_.layer.rows(); ++j) {
      if (features_.row(i)[j] <= 0) slope[j] = 0;
      layer_bias_gradient_.row(0)[j] += slope[j];
    }
  }
  kernels::AddTransposedProduct(feature_gradient_.view(), rows_, {}, thread_count, &layer_gradient_);
}

void TreeLearner::Step(double rate_share) {
  split_steps_.Step(split_gradient_, &tree_.splits, rate_share);
  bias_steps_.Step(bias_gradient_, &biases_, rate_share);
  steepness_steps_.Step(steepness_gradient_, &steepness_, rate_share);
  if (tree_.layer.rows() > 0) {
    layer_steps_.Step(layer_gradient_, &tree_.layer, rate_share);
    layer_bias_steps_.Step(layer_bias_gradient_, &layer_biases_, rate_share);
  }
  for (base::AlignedMatrix* gradient :
       {&split_gradient_, &bias_gradient_, &steepness_gradient_, &layer_gradient_, &layer_bias_gradient_}) {
    SetZero(gradient);
  }
}

SplitTree TreeLearner::tree() const {
  SplitTree tree(tree_.dimension, tree_.depth, tree_.layer.rows());
  const float s = steepness();
  for (std::size_t i = 0; i < tree_.inner_nodes(); ++i) {
    for (std::size_t j = 0; j < tree_.features(); ++j) tree.splits.row(i)[j] = s * tree_.splits.row(i)[j];
    tree.biases[i] = s * biases_.row(0)[i];
  }
  for (std::size_t i = 0; i < tree_.layer.rows(); ++i) {
    std::copy(tree_.layer.row(i), tree_.layer.row(i) + tree_.dimension, tree.layer.row(i));
    tree.layer_biases[i] = layer_biases_.row(0)[i];
  }
  return tree;
}

void TreeLearner::Save(storage::ByteWriter* writer) const {
  const auto put = [&](const base::AlignedMatrix& matrix, const AdamOptimizer& steps) {
    for (std::size_t i = 0; i < matrix.rows(); ++i) writer->PutArray(matrix.row(i), matrix.columns());
    steps.Save(writer);
  };
  put(tree_.splits, split_steps_);
  put(biases_, bias_steps_);
  put(steepness_, steepness_steps_);
  put(tree_.layer, layer_steps_);
  put(layer_biases_, layer_bias_steps_);
}

bool TreeLearner::Load(storage::ByteReader* reader) {
  const auto get = [&](base::AlignedMatrix* matrix, AdamOptimizer* steps) {
    for (std::size_t i = 0; i < matrix->rows(); ++i) {
      const std::vector<float> row = reader->ReadArray<float>(matrix->columns());
      if (row.size() != matrix->columns()) return false;
      std::copy(row.begin(), row.end(), matrix->row(i));
    }
    return steps->Load(reader, matrix->rows() * matrix->columns());
  };
  return get(&tree_.splits, &split_steps_) && get(&biases_, &bias_steps_) &&
         get(&steepness_, &steepness_steps_) && get(&tree_.layer, &layer_steps_) &&
         get(&layer_biases_, &layer_bias_steps_);
}

}  // namespace trivium::routing
