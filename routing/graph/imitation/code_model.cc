// SPDX-License-Identifier: Apache-2.0
#include "routing/graph/imitation/code_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/random.h"
#include "base/thread_pool.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"
#include "routing/graph/imitation/optimizers.h"

namespace trivium::routing {
namespace {

// A bias that is the same for all vertices at first moves by shares of this. Scores are in nats.
constexpr double kLeastScore = 0.1;

void Scale(double factor, base::AlignedMatrix* matrix) {
  for (std::size_t i = 0; i < matrix->rows(); ++i) {
    for (std::size_t j = 0; j < matrix->columns(); ++j) matrix->row(i)[j] *= static_cast<float>(factor);
  }
}

base::AlignedMatrix ScaledMap(const ProjectedStart& start, double factor) {
  base::AlignedMatrix map(start.vertex_map.rows(), start.vertex_map.columns());
  std::memcpy(map.row(0), start.vertex_map.row(0), map.rows() * map.stride() * sizeof(float));
  Scale(factor, &map);
  return map;
}

class FreeCodes final : public CodeModel {
 public:
  FreeCodes(const index::ProximityGraph& graph, base::MatrixView rows, const FeatureScale& scale,
            base::AlignedMatrix map, int thread_count)
      : start_(std::move(map)), graph_(graph), rows_(rows), scale_(scale), thread_count_(thread_count) {}

  void Encode(RoutingCodes* codes) const override {
    const auto product = kernels::ActiveDistances().inner_product_f32_rows;
    std::vector<std::vector<float>> memory(thread_count_);
    base::ParallelFor(rows_.rows, thread_count_, 256, [&](std::size_t v, int thread) {
      std::vector<float>& floats = memory[thread];
      floats.resize(start_.columns() + start_.rows());
      float* const made = floats.data() + start_.columns();
      FillFeatures(graph_, rows_, scale_, v, floats.data());
      product(floats.data(), start_.row(0), start_.stride(), start_.rows(), start_.columns(), made);
      std::memcpy(codes->codes.row(v), made, codes->codes.columns() * sizeof(float));
      codes->biases[v] = made[start_.rows() - 1];
    });
  }

  void Step(const CodeGradient& gradient, double rate, RoutingCodes* codes) override {
    if (code_sums_.empty()) {
      code_sums_.assign(codes->codes.rows(), 0.0f);
      bias_sums_.assign(codes->codes.rows(), 0.0f);
      code_size_ = RootMeanSquare(codes->codes);
      double mean = 0;
      for (const float bias : codes->biases) mean += bias / double(codes->biases.size());
      double variance = 0;
      for (const float bias : codes->biases) {
        variance += (bias - mean) * (bias - mean) / double(codes->biases.size());
      }
      bias_size_ = std::max(std::sqrt(variance), kLeastScore);
    }
    const std::size_t dimension = codes->codes.columns();
    base::ParallelFor(gradient.touched.size(), thread_count_, 256, [&](std::size_t i, int) {
      const std::uint32_t v = gradient.touched[i];
      RowAdaGradStep(gradient.codes.row(v), dimension, rate * code_size_, &code_sums_[v],
                     codes->codes.row(v));
      RowAdaGradStep(&gradient.biases[v], 1, rate * bias_size_, &bias_sums_[v], &codes->biases[v]);
    });
  }

  std::vector<base::AlignedMatrix> WeightGradient(const CodeGradient&) const override { return {}; }

 private:
  base::AlignedMatrix start_;
  const index::ProximityGraph& graph_;
  base::MatrixView rows_;
  FeatureScale scale_;
  int thread_count_;
  std::vector<float> code_sums_, bias_sums_;  // of RowAdaGradStep
  double code_size_ = 0, bias_size_ = 0;      // what the rate is a share of
};

class SharedMaps final : public CodeModel {
 public:
  SharedMaps(const index::ProximityGraph& graph, base::MatrixView rows, const FeatureScale& scale,
             base::AlignedMatrix map, std::size_t hidden_width, int thread_count, std::uint64_t seed)
      : features_(rows.rows, FeatureCount(rows.columns)),
        linear_(std::move(map)),
        thread_count_(thread_count) {
    base::ParallelFor(rows.rows, thread_count, 256,
                      [&](std::size_t v, int) { FillFeatures(graph, rows, scale, v, features_.row(v)); });
    // Each row its own size, the constant apart: that of b differs much from those of p.
    const std::size_t inputs = features_.columns() - 1;
    const double root = std::sqrt(double(features_.columns()));
    double mean_size = 0;
    for (std::size_t i = 0; i < linear_.rows(); ++i) {
      const double size = RootMeanSquare(linear_.row(i), inputs);
      row_sizes_[0].push_back(std::max(size, kLeastScore / root));
      mean_size += size / double(linear_.rows());
    }
    if (hidden_width == 0) return;
    inner_ = base::AlignedMatrix(hidden_width, features_.columns());
    outer_ = base::AlignedMatrix(linear_.rows(), hidden_width);
    base::Random random(seed);
    // Features have unit size: so have the inputs of the hidden units.
    row_sizes_[1].assign(hidden_width, 1 / root);
    for (std::size_t i = 0; i < hidden_width; ++i) {
      for (std::size_t j = 0; j < features_.columns(); ++j) {
        inner_.row(i)[j] = static_cast<float>(random.Normal() / root);
      }
    }
    // The outer layer starts at zero; its weights would be of the size that makes codes as large as they are.
    row_sizes_[2].assign(linear_.rows(), mean_size * root / std::sqrt(double(hidden_width)));
    hidden_ = base::AlignedMatrix(rows.rows, hidden_width);
  }

  void Encode(RoutingCodes* codes) const override {
    base::AlignedMatrix made(features_.rows(), linear_.rows());
    kernels::MultiplyByTransposed(features_.view(), linear_.view(), thread_count_, &made);
    if (has_hidden()) {
      kernels::MultiplyByTransposed(features_.view(), inner_.view(), thread_count_, &hidden_);
      base::ParallelFor(hidden_.rows(), thread_count_, 256, [&](std::size_t v, int) {
        float* row = hidden_.row(v);
        for (std::size_t j = 0; j < hidden_.columns(); ++j) {
          if (row[j] < 0) row[j] = std::expm1(row[j]);  // ELU
        }
      });
      base::AlignedMatrix more(features_.rows(), linear_.rows());
      kernels::MultiplyByTransposed(hidden_.view(), outer_.view(), thread_count_, &more);
      for (std::size_t v = 0; v < made.rows(); ++v) {
        for (std::size_t j = 0; j < made.columns(); ++j) made.row(v)[j] += more.row(v)[j];
      }
    }
    const std::size_t dimension = codes->codes.columns();
    for (std::size_t v = 0; v < made.rows(); ++v) {
      std::memcpy(codes->codes.row(v), made.row(v), dimension * sizeof(float));
      codes->biases[v] = made.row(v)[dimension];
    }
  }

  std::vector<base::AlignedMatrix*> weights() override {
    if (!has_hidden()) return {&linear_};
    return {&linear_, &inner_, &outer_};
  }

  // Of the codes as they were encoded last.
  std::vector<base::AlignedMatrix> WeightGradient(const CodeGradient& gradient) const override {
    const std::size_t dimension = gradient.codes.columns();
    const std::size_t count = gradient.touched.size();
    base::AlignedMatrix outputs(count, linear_.rows());  // derivatives of what was touched
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t v = gradient.touched[i];
      std::memcpy(outputs.row(i), gradient.codes.row(v), dimension * sizeof(float));
      outputs.row(i)[dimension] = gradient.biases[v];
    }
    std::vector<base::AlignedMatrix> result;
    result.emplace_back(linear_.rows(), linear_.columns());
    kernels::AddTransposedProduct(outputs.view(), features_.view(), gradient.touched, thread_count_,
                                  &result[0]);
    if (!has_hidden()) return result;

    result.emplace_back(inner_.rows(), inner_.columns());
    result.emplace_back(outer_.rows(), outer_.columns());
    kernels::AddTransposedProduct(outputs.view(), hidden_.view(), gradient.touched, thread_count_,
                                  &result[2]);
    base::AlignedMatrix transposed(outer_.columns(), outer_.rows());
    for (std::size_t i = 0; i < outer_.rows(); ++i) {
      for (std::size_t j = 0; j < outer_.columns(); ++j) transposed.row(j)[i] = outer_.row(i)[j];
    }
    base::AlignedMatrix back(count, hidden_.columns());
    kernels::MultiplyByTransposed(outputs.view(), transposed.view(), thread_count_, &back);
    base::ParallelFor(count, thread_count_, 256, [&](std::size_t i, int) {
      const float* units = hidden_.row(gradient.touched[i]);
      for (std::size_t j = 0; j < back.columns(); ++j) {
        if (units[j] < 0) back.row(i)[j] *= units[j] + 1;  // elu' = e^x = elu + 1 below zero
      }
    });
    kernels::AddTransposedProduct(back.view(), features_.view(), gradient.touched, thread_count_, &result[1]);
    return result;
  }

  void Step(const CodeGradient& gradient, double rate, RoutingCodes* codes) override {
    const std::vector<base::AlignedMatrix> gradients = WeightGradient(gradient);
    const std::vector<base::AlignedMatrix*> moved = weights();
    for (std::size_t i = 0; i < moved.size(); ++i) {
      std::vector<double> rates = row_sizes_[i];
      for (double& each : rates) each *= rate;
      adam_[i].Step(gradients[i], rates, moved[i]);
    }
    Encode(codes);
  }

 private:
  bool has_hidden() const { return inner_.rows() > 0; }

  base::AlignedMatrix features_;
  base::AlignedMatrix linear_, inner_, outer_;  // A, C, B
  mutable base::AlignedMatrix hidden_;          // elu(C f) as encoded last
  Adam adam_[3];
  std::vector<double> row_sizes_[3];  // what the rate is a share of
  int thread_count_;
};

}  // namespace

std::unique_ptr<CodeModel> MakeCodeModel(CodeSource source, const index::ProximityGraph& graph,
                                         base::MatrixView rows, const FeatureScale& scale,
                                         const ProjectedStart& start, double score_scale,
                                         std::size_t hidden_width, int thread_count, std::uint64_t seed) {
  base::AlignedMatrix map = ScaledMap(start, score_scale);
  switch (source) {
    case CodeSource::kFree:
      return std::make_unique<FreeCodes>(graph, rows, scale, std::move(map), thread_count);
    case CodeSource::kLinear:
      hidden_width = 0;
      break;
    case CodeSource::kHidden:
      break;
  }
  return std::make_unique<SharedMaps>(graph, rows, scale, std::move(map), hidden_width, thread_count, seed);
}

}  // namespace trivium::routing
