// SPDX-License-Identifier: Apache-2.0
// Where queries lie around the vertices that their walks visit: learned (routing/graph/code_learner.h), so
// that the codes of edges err where queries do not look.
#pragma once

#include <cstddef>
#include <vector>

namespace trivium::index {

// In the rotated coordinates of EdgeCodes.
struct QuerySpread {
  std::size_t dimension = 0;  // the padded one
  // A query q that visits v lies around pull * v, 0 to 1. Not used for inner products, whose codes read the
  // query alone.
  float pull = 1;
  // dimension x dimension: the mean of u u', u = q - pull * v (u = q for inner products).
  std::vector<float> covariance;
};

}  // namespace trivium::index
