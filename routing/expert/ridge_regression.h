// SPDX-License-Identifier: Apache-2.0
// Weighted ridge regression with an unpenalised bias, for several targets that share their rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/matrix_view.h"

namespace trivium::routing {

struct RidgeFit {
  std::vector<double> coefficients;  // targets x (d + 1), the bias last
  std::vector<double> residuals;     // targets: weighted root mean square error
};

// Minimises sum_i w_i (<a, x_i> + b - y_i)^2 + ridge |a|^2 for every target.
//
//   rows     n x d
//   chosen   which rows take part, at least one of positive weight
//   weights  one per chosen row, >= 0
//   targets  targets x chosen rows, row-major, finite
//
// kInvalidArgument: `ridge` is too small for the equations to be solved.
// Cost: O(n d^2) inner products of length n with the SIMD kernels, then one Cholesky factorisation.
absl::StatusOr<RidgeFit> FitRidge(base::MatrixView rows, absl::Span<const std::uint32_t> chosen,
                                  absl::Span<const float> weights, absl::Span<const float> targets,
                                  double ridge);

}  // namespace trivium::routing
