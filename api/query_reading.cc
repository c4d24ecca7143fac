// SPDX-License-Identifier: Apache-2.0
#include "api/query_reading.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "base/aligned_matrix.h"
#include "kernels/distance_table.h"

namespace trivium {

absl::Status ReadQuery(const std::vector<float>& adapter, std::string_view whose, std::size_t dimension,
                       bool cosine, const float* query, std::vector<float>* reading) {
  const kernels::DistanceTable& table = kernels::ActiveDistances();
  reading->assign(base::PaddedStride(dimension), 0.0f);
  table.inner_product_f32_rows(query, adapter.data(), dimension, dimension, dimension, reading->data());
  const float norm = std::sqrt(table.inner_product_f32(reading->data(), reading->data(), dimension));
  if (!std::isfinite(norm) || (cosine && norm == 0)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "adapter of %s: makes a query of norm %f, expected a finite one that is not zero", whose, norm));
  }
  for (std::size_t i = 0; cosine && i < dimension; ++i) (*reading)[i] /= norm;
  return absl::OkStatus();
}

}  // namespace trivium
