// SPDX-License-Identifier: Apache-2.0
// Steps down a gradient with one rate for all weights of a matrix.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/aligned_matrix.h"
#include "storage/byte_reader.h"
#include "storage/byte_writer.h"

namespace trivium::routing {

// Source: Kingma and Ba 2015, Alg. 1, with their constants. 8 bytes a weight.
class AdamOptimizer {
 public:
  explicit AdamOptimizer(double rate) : rate_(rate) {}

  // `gradient` and `weights` have one shape, the same at every step; `rate_share` of the rate is used.
  void Step(const base::AlignedMatrix& gradient, base::AlignedMatrix* weights, double rate_share = 1) {
    const std::size_t columns = weights->columns();
    mean_.resize(weights->rows() * columns, 0.0f);
    square_.resize(weights->rows() * columns, 0.0f);
    ++steps_;
    const auto step = static_cast<float>(rate_share * rate_ / (1 - std::pow(kMeanDecay, steps_)));
    const auto square_scale = static_cast<float>(1 / (1 - std::pow(kSquareDecay, steps_)));
    for (std::size_t i = 0; i < weights->rows(); ++i) {
      const float* slope = gradient.row(i);
      float* mean = &mean_[i * columns];
      float* square = &square_[i * columns];
      float* weight = weights->row(i);
      for (std::size_t j = 0; j < columns; ++j) {
        mean[j] = kMeanDecay * mean[j] + (1 - kMeanDecay) * slope[j];
        square[j] = kSquareDecay * square[j] + (1 - kSquareDecay) * slope[j] * slope[j];
        weight[j] -= step * mean[j] / (std::sqrt(square_scale * square[j]) + kTiny);
      }
    }
  }

  // f64 steps | u64 n | f32[n] | f32[n]: what later steps depend on, of n weights, or of none before the
  // first step.
  void Save(storage::ByteWriter* writer) const {
    writer->Put<double>(steps_);
    writer->Put<std::uint64_t>(mean_.size());
    writer->PutArray(mean_.data(), mean_.size());
    writer->PutArray(square_.data(), square_.size());
  }
  // False where they are malformed or not of `count` weights.
  bool Load(storage::ByteReader* reader, std::size_t count) {
    steps_ = reader->Read<double>();
    const auto kept = reader->Read<std::uint64_t>();
    if (!reader->ok() || (kept != 0 && kept != count)) return false;
    mean_ = reader->ReadArray<float>(kept);
    square_ = reader->ReadArray<float>(kept);
    return reader->ok();
  }

 private:
  static constexpr float kMeanDecay = 0.9f, kSquareDecay = 0.999f, kTiny = 1e-8f;

  double rate_;
  std::vector<float> mean_, square_;
  double steps_ = 0;
};

}  // namespace trivium::routing
