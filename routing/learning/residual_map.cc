// SPDX-License-Identifier: Apache-2.0
#include "routing/learning/residual_map.h"

#include <cmath>
#include <vector>

#include "base/random.h"
#include "kernels/distance_table.h"
#include "kernels/matrix_products.h"

namespace trivium::routing {

ResidualMap::ResidualMap(std::size_t dimension, std::size_t rank, double rate, std::uint64_t seed)
    : matrix_(dimension, dimension),
      up_(rank > 0 ? dimension : 0, rank),
      down_(rank, dimension),
      matrix_steps_(rate),
      up_steps_(rate),
      down_steps_(rate) {
  base::Random random(seed);
  const double deviation = 1 / std::sqrt(static_cast<double>(dimension));
  for (std::size_t r = 0; r < rank; ++r) {
    for (std::size_t j = 0; j < dimension; ++j)
      down_.row(r)[j] = static_cast<float>(deviation * random.Normal());
  }
  Rebuild();
}

void ResidualMap::Rebuild() {
  base::AlignedMatrix down_columns(matrix_.columns(), down_.rows());
  for (std::size_t r = 0; r < down_.rows(); ++r) {
    for (std::size_t j = 0; j < matrix_.columns(); ++j) down_columns.row(j)[r] = down_.row(r)[j];
  }
  if (down_.rows() > 0) kernels::MultiplyByTransposed(up_.view(), down_columns.view(), 1, &matrix_);
  for (std::size_t i = 0; i < matrix_.rows(); ++i) matrix_.row(i)[i] += 1;
}

void ResidualMap::Descend(const base::AlignedMatrix& gradient) {
  if (down_.rows() == 0) return matrix_steps_.Step(gradient, &matrix_);
  base::AlignedMatrix up_gradient(up_.rows(), up_.columns()), down_gradient(down_.rows(), down_.columns());
  kernels::MultiplyByTransposed(gradient.view(), down_.view(), 1, &up_gradient);
  kernels::AddTransposedProduct(up_.view(), gradient.view(), {}, 1, &down_gradient);
  up_steps_.Step(up_gradient, &up_);
  down_steps_.Step(down_gradient, &down_);
  Rebuild();
}

void MapToUnitRows(const base::AlignedMatrix& matrix, base::MatrixView queries, base::AlignedMatrix* adapted,
                   float* norms) {
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  *adapted = base::AlignedMatrix(queries.rows, matrix.rows());
  kernels::MultiplyByTransposed(queries, matrix.view(), 1, adapted);
  for (std::size_t i = 0; i < queries.rows; ++i) {
    float* row = adapted->row(i);
    norms[i] = std::sqrt(inner_product(row, row, matrix.rows()));
    for (std::size_t j = 0; norms[i] > 0 && j < matrix.rows(); ++j) row[j] /= norms[i];
  }
}

double MappedLoss(const base::AlignedMatrix& matrix, const ContrastiveBatch& batch,
                  base::AlignedMatrix* gradient) {
  const auto inner_product = kernels::ActiveDistances().inner_product_f32;
  base::AlignedMatrix adapted, slopes;
  std::vector<float> norms(batch.queries.rows);
  MapToUnitRows(matrix, batch.queries, &adapted, norms.data());
  ContrastiveBatch read = batch;
  read.queries = adapted.view();
  const double loss = ContrastiveLoss(read, &slopes);
  // Through the division by the norm: what points along the adapted query changes nothing.
  for (std::size_t i = 0; i < adapted.rows(); ++i) {
    const float along = inner_product(slopes.row(i), adapted.row(i), adapted.columns());
    for (std::size_t j = 0; j < adapted.columns(); ++j) {
      slopes.row(i)[j] = norms[i] > 0 ? (slopes.row(i)[j] - along * adapted.row(i)[j]) / norms[i] : 0;
    }
  }
  kernels::AddTransposedProduct(slopes.view(), batch.queries, {}, 1, gradient);
  return loss;
}

}  // namespace trivium::routing
