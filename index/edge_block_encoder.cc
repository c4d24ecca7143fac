// SPDX-License-Identifier: Apache-2.0
#include "index/edge_block_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "index/bfloat.h"
#include "index/edge_codes.h"

namespace trivium::index {
namespace {

// The step of 16 levels, in standard deviations, with the least error for a normal distribution, which
// rotated components have (Max 1960).
constexpr double kStep = 0.335;

template <class T>
void Put(std::uint8_t* to, T value) {
  std::memcpy(to, &value, sizeof(value));
}

// Where the signs of an edge begin in a block, and in which half of their bytes they are.
struct SignPlace {
  std::size_t first;
  int shift;
};
SignPlace PlaceOfSigns(const kernels::EdgeBlockShape& shape, std::size_t place) {
  const std::size_t lane = place % kernels::kEdgesAtOnce;
  return {shape.codes + (place - lane) * shape.dimension / 8 + lane % 16, lane < 16 ? 0 : 4};
}

}  // namespace

EdgeBlockEncoder::EdgeBlockEncoder(const kernels::EdgeBlockShape& shape, bool inner_product,
                                   const QuerySpread* spread)
    : table_(kernels::ActiveDistances()),
      shape_(shape),
      inner_product_(inner_product),
      signs_(shape.dimension / 4) {
  if (spread == nullptr) return;
  pull_ = spread->pull;
  chooser_.emplace(*spread);
}

void EdgeBlockEncoder::Begin(const float* center, std::uint8_t* block) {
  center_ = center;
  block_ = block;
  std::memset(block, 0, shape_.bytes);
  const std::size_t dimension = shape_.dimension;
  double squared_norm = 0;
  for (std::size_t i = 0; i < dimension; ++i) squared_norm += static_cast<double>(center[i]) * center[i];
  const double step = kStep * std::sqrt(squared_norm / static_cast<double>(dimension));
  double product = 0;  // of the code and what it stands for: makes the estimate of inner products unbiased
  for (std::size_t i = 0; step > 0 && i < dimension; ++i) {
    const double level = std::clamp(std::floor(center[i] / step) + 8.0, 0.0, 15.0);
    product += (level - 7.5) * center[i];
    const std::size_t byte = i / 64 * 32 + i % 32;
    block[byte] |= static_cast<std::uint8_t>(static_cast<unsigned>(level) << (i % 64 < 32 ? 0 : 4));
  }
  Put(block + shape_.header, product > 0 ? static_cast<float>(squared_norm / product) : 0.0f);
  Put(block + shape_.header + 4, static_cast<float>(squared_norm));
  for (std::size_t place = 0; place < shape_.edge_count; ++place) {
    Put(block + shape_.vertices + 4 * place, kNoVertex);
    Put(block + shape_.offsets + 2 * place, ToBfloat(std::numeric_limits<float>::infinity()));
  }
}

EdgeBlockEncoder::Factors EdgeBlockEncoder::Encode(const float* end) {
  SignChooser::Moments moments;
  if (chooser_) {
    moments = chooser_->Choose(center_, end, signs_.data());
  } else {
    float sums[3];
    table_.encode_edge(center_, end, shape_.dimension, signs_.data(), sums);
    moments = {.squares = sums[0], .signs = sums[1], .center = sums[2]};
  }
  const float length = moments.signs > 0 ? moments.squares / moments.signs : 0.0f;  // |r|^2 / <r, s>
  if (inner_product_) return {0.0f, length};
  const float scale = 2 * length;
  const float offset = moments.squares + scale * pull_ * moments.center + 2 * (1 - pull_) * moments.along;
  return {offset, scale};
}

void EdgeBlockEncoder::SetEdge(std::size_t place, std::uint32_t vertex, const float* end) {
  const auto [offset, scale] = Encode(end);
  Put(block_ + shape_.vertices + 4 * place, vertex);
  // Of values beyond float32 there is no estimate: such an edge is as if it were not there.
  if (std::isfinite(scale) && std::isfinite(offset)) {
    Put(block_ + shape_.offsets + 2 * place, ToBfloat(offset));
    Put(block_ + shape_.scales + 2 * place, ToBfloat(scale));
  }
  StoreSigns(place);
}

void EdgeBlockEncoder::CopyEdge(std::size_t place, const std::uint8_t* from, std::size_t from_place) {
  std::memcpy(block_ + shape_.vertices + 4 * place, from + shape_.vertices + 4 * from_place, 4);
  std::memcpy(block_ + shape_.offsets + 2 * place, from + shape_.offsets + 2 * from_place, 2);
  std::memcpy(block_ + shape_.scales + 2 * place, from + shape_.scales + 2 * from_place, 2);
  const SignPlace signs = PlaceOfSigns(shape_, from_place);
  for (std::size_t g = 0; g < signs_.size(); ++g) {
    signs_[g] = static_cast<std::uint8_t>(from[signs.first + 16 * g] >> signs.shift & 15);
  }
  StoreSigns(place);
}

void EdgeBlockEncoder::StoreSigns(std::size_t place) {
  const SignPlace signs = PlaceOfSigns(shape_, place);
  for (std::size_t g = 0; g < signs_.size(); ++g) {
    block_[signs.first + 16 * g] |= static_cast<std::uint8_t>(signs_[g] << signs.shift);
  }
}

}  // namespace trivium::index
