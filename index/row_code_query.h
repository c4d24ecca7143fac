// SPDX-License-Identifier: Apache-2.0
// A query as row codes read it: rotated, less the centre, in int8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/row_codes.h"
#include "kernels/distance_table.h"

namespace trivium::index {

// Reused from query to query: allocates only for a larger dimension than ever before.
class RowCodeQuery {
 public:
  // `query`: as many floats as the rotation takes. O(d log d).
  void Prepare(const RowCodes& codes, const float* query);

  float squared_norm() const { return squared_norm_; }

  // out[i] = estimated distance of the row whose record is at records + ids[i] * codes.record_bytes(), i <
  // count. Never NaN. `codes` are those of Prepare.
  void Estimate(const RowCodes& codes, const std::uint8_t* records, const std::uint32_t* ids,
                std::size_t count, float* out) const;

 private:
  std::vector<float> rotated_;
  std::vector<std::int8_t> values_;
  std::int32_t value_sum_ = 0;
  float value_scale_ = 0;
  float center_distance_ = 0;
  float squared_norm_ = 0;
};

}  // namespace trivium::index
