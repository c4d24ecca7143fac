// SPDX-License-Identifier: Apache-2.0
#include "index/sign_chooser.h"

namespace trivium::index {
namespace {

// Passes over the coordinates: the first turns most of the signs that will turn.
constexpr int kPasses = 3;

}  // namespace

SignChooser::SignChooser(const QuerySpread& spread)
    : spread_(spread),
      products_(kernels::ActiveDistances().inner_product_f32_rows),
      difference_(spread.dimension),
      signs_(spread.dimension),
      error_(spread.dimension),
      gradient_(spread.dimension) {}

SignChooser::Moments SignChooser::Choose(const float* center, const float* end, std::uint8_t* signs) {
  const std::size_t dimension = spread_.dimension;
  Moments moments;
  float lengths = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    const float r = end[i] - center[i];
    difference_[i] = r;
    signs_[i] = r >= 0 ? 1.0f : -1.0f;
    lengths += r * signs_[i];
    moments.squares += r * r;
    moments.along += center[i] * r;
  }
  if (lengths > 0) Descend(moments.squares / lengths);
  for (std::size_t g = 0; g < dimension / 4; ++g) signs[g] = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    moments.signs += difference_[i] * signs_[i];
    moments.center += center[i] * signs_[i];
    signs[i / 4] |= static_cast<std::uint8_t>((signs_[i] > 0 ? 1 : 0) << (i % 4));
  }
  return moments;
}

void SignChooser::Descend(float scale) {
  const std::size_t dimension = spread_.dimension;
  const float* covariance = spread_.covariance.data();
  for (std::size_t i = 0; i < dimension; ++i) error_[i] = difference_[i] - scale * signs_[i];
  products_(error_.data(), covariance, dimension, dimension, dimension, gradient_.data());
  for (int pass = 0; pass < kPasses; ++pass) {
    bool turned = false;
    for (std::size_t i = 0; i < dimension; ++i) {
      const float* row = covariance + i * dimension;
      const float change = 2 * scale * signs_[i];  // of error i, if sign i is turned over
      if (!(change * (2 * gradient_[i] + change * row[i]) < 0)) continue;
      for (std::size_t j = 0; j < dimension; ++j) gradient_[j] += change * row[j];
      signs_[i] = -signs_[i];
      turned = true;
    }
    if (!turned) return;
  }
}

}  // namespace trivium::index
