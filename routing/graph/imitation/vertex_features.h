// SPDX-License-Identifier: Apache-2.0
// What the shared maps know of a vertex, 2 d + 2 numbers of about unit size:
//
//   [ x / s ; mean of its neighbours' x / s ; (|x|^2 - mean) / deviation ; 1 ]
//
// s is the root mean square of the coordinates of all rows. The square matters to squared distances, which
// are not linear in x; where all rows are equally long it is zero.
//
// Source:  Baranchuk et al. 2019, section 3.3: a graph convolution averages over neighbours.
// Differs: one fixed average, no learned convolutions stacked on each other.
#pragma once

#include <cstddef>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "index/proximity_graph.h"

namespace trivium::routing {

struct FeatureScale {
  double coordinate = 1;        // s
  double square_mean = 0;       // of |x|^2
  double square_deviation = 0;  // 0: all rows are equally long
};

inline std::size_t FeatureCount(std::size_t dimension) { return 2 * dimension + 2; }

FeatureScale MeasureFeatures(base::MatrixView rows);

// `out`: FeatureCount floats. A vertex without neighbours has its own x for their mean.
void FillFeatures(const index::ProximityGraph& graph, base::MatrixView rows, const FeatureScale& scale,
                  std::size_t vertex, float* out);

}  // namespace trivium::routing
