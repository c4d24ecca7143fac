// SPDX-License-Identifier: Apache-2.0
// A query as edge codes read it: rotated, its sums of four components as 6-bit tables, its components as
// int8.
#pragma once

#include <cstdint>
#include <vector>

#include "base/huge_bytes.h"
#include "index/edge_codes.h"
#include "kernels/edge_code_functions.h"

namespace trivium::index {

// Reused from query to query: allocates only for a larger dimension than ever before. Moves only.
class EdgeQuery {
 public:
  // `query`: as many floats as the rotation takes. O(d log d).
  void Prepare(const EdgeCodes& codes, const float* query) {
    Prepare(codes.rotation(), codes.inner_product() ? nullptr : codes.mean(), query);
    view_.inner_product = codes.inner_product();
  }
  // Relative to `origin`, where it is not null.
  void Prepare(const RandomRotation& rotation, const float* origin, const float* query);
  const kernels::EdgeQuery& view() const { return view_; }

 private:
  base::HugeBytes memory_;  // rotated floats, tables, bytes
  kernels::EdgeQuery view_;
};

}  // namespace trivium::index
