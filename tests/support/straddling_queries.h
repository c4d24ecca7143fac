// SPDX-License-Identifier: Apache-2.0
// Queries that lie apart from the rows, as questions lie apart from passages: each is the sum of two rows.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "base/random.h"

namespace trivium::testing_support {

// Of unit length; their neighbours lie in two regions.
inline base::AlignedMatrix StraddlingQueries(base::MatrixView rows, std::size_t count, std::uint64_t seed) {
  base::AlignedMatrix queries(count, rows.columns);
  base::Random random(seed);
  for (std::size_t i = 0; i < count; ++i) {
    const float* one = rows.row(random.Below(rows.rows));
    const float* other = rows.row(random.Below(rows.rows));
    double squares = 0;
    for (std::size_t j = 0; j < rows.columns; ++j) {
      queries.row(i)[j] = one[j] + other[j] + 0.02f * static_cast<float>(random.Normal());
      squares += double(queries.row(i)[j]) * queries.row(i)[j];
    }
    for (std::size_t j = 0; j < rows.columns; ++j) {
      queries.row(i)[j] = static_cast<float>(queries.row(i)[j] / std::sqrt(squares));
    }
  }
  return queries;
}

}  // namespace trivium::testing_support
