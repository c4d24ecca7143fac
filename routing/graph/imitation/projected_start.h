// SPDX-License-Identifier: Apache-2.0
// Where training starts: scores that approximate the distances themselves. With m the mean of the rows and R
// the d' x d projection onto the directions of largest variance (the identity where d' = d),
//
//   W = R      p_v = R (x_v - m)      b_v = <m, x_v> - <R m, R (x_v - m)>   (- |x_v|^2 / 2 for kSquaredL2)
//
// so that <W q, p_v> + b_v differs from <q, x_v> (- |x_v|^2 / 2) by <(I - R'R)(q - m), x_v - m> and by what
// is the same for all vertices. p and b are linear in the features of vertex_features.h, of the vertex's own
// part: codes and shared maps start as the same scores.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/metric.h"
#include "routing/graph/imitation/vertex_features.h"

namespace trivium::routing {

struct ProjectedStart {
  base::AlignedMatrix query_map;   // d' x d
  base::AlignedMatrix vertex_map;  // (d' + 1) x features; the last row makes b
};

// code_dimension: 1 to d. Orthogonal iteration on the covariance of a sample. Cost: O(sample x d^2).
ProjectedStart StartFromProjection(base::MatrixView rows, base::Metric metric, const FeatureScale& scale,
                                   std::size_t code_dimension, int thread_count, std::uint64_t seed);

}  // namespace trivium::routing
