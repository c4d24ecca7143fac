// SPDX-License-Identifier: Apache-2.0
// The two products that a linear layer needs, from the inner product kernels (there is no BLAS).
#pragma once

#include <cstdint>
#include <span>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::kernels {

// out = a b': out[i][j] = <a_i, b_j>. a: n x k, b: m x k, out: n x m, overwritten. The same for any
// number of threads.
void MultiplyByTransposed(base::MatrixView a, base::MatrixView b, int thread_count, base::AlignedMatrix* out);

// out += a' b, where row i of a belongs to row rows_of_b[i] of b, or to row i where that is empty. a: n x p,
// out: p x q. Memory: p q + 272 (p + q) floats a thread. The same for equal numbers of threads up to
// rounding; to the last bit with one.
void AddTransposedProduct(base::MatrixView a, base::MatrixView b, std::span<const std::uint32_t> rows_of_b,
                          int thread_count, base::AlignedMatrix* out);

}  // namespace trivium::kernels
