// SPDX-License-Identifier: Apache-2.0
#include "index/edge_query.h"

#include <algorithm>
#include <cmath>

#include "kernels/distance_table.h"

namespace trivium::index {

void EdgeQuery::Prepare(const RandomRotation& rotation, const float* origin, const float* query) {
  const std::size_t dimension = rotation.padded_dimension();
  const std::size_t groups = dimension / 4;
  const std::size_t bytes = dimension * sizeof(float) + groups * 16 + dimension;
  if (memory_.size() < bytes) memory_ = base::HugeBytes(bytes);
  auto* rotated = reinterpret_cast<float*>(memory_.data());
  std::uint8_t* tables = memory_.data() + dimension * sizeof(float);
  auto* values = reinterpret_cast<std::int8_t*>(tables + groups * 16);

  rotation.Apply(query, origin, rotated);
  float largest_sum = 0, largest = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    const float* q = rotated + 4 * g;
    const float a = std::abs(q[0]), b = std::abs(q[1]), c = std::abs(q[2]), d = std::abs(q[3]);
    largest_sum = std::max(largest_sum, a + b + c + d);
    largest = std::max(largest, std::max(std::max(a, b), std::max(c, d)));
  }
  if (!(largest > 0)) largest_sum = largest = 1;  // a query of zeros

  // Sums of one entry a group fit 16 bits, which from 4,161 dimensions on leaves entries fewer levels.
  const auto levels = static_cast<float>(std::min<std::size_t>(63, 65535 / groups));
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  view_.table = tables;
  view_.table_scale = 2 * largest_sum / levels;
  view_.table_offset = -largest_sum * static_cast<float>(groups);
  table.fill_sign_table(rotated, dimension, largest_sum, levels / (2 * largest_sum), tables);
  view_.values = values;
  view_.value_scale = largest / 127;
  table.round_to_bytes(rotated, dimension, 127 / largest, values);
  view_.value_sum = 0;
  for (std::size_t i = 0; i < dimension; ++i) view_.value_sum += values[i];
  view_.squared_norm = table.inner_product_f32(rotated, rotated, dimension);
}

}  // namespace trivium::index
