// SPDX-License-Identifier: Apache-2.0
// A linear map of queries while it is learned, and what one batch says about it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "routing/learning/adam_optimizer.h"
#include "routing/learning/contrastive_loss.h"

namespace trivium::routing {

// W = identity + residual, d x d. Starts at the identity: what is not learned leaves queries as they are.
class ResidualMap {
 public:
  // rank  0: every weight is learned; else the residual is up * down, d x rank times rank x d (as LoRA, Hu et
  //       al. 2021: `up` starts at zero, `down` at random), which learns less from few queries
  ResidualMap(std::size_t dimension, std::size_t rank, double rate, std::uint64_t seed);

  const base::AlignedMatrix& matrix() const { return matrix_; }

  // One step against `gradient`, the derivative of the loss by matrix(), d x d.
  void Descend(const base::AlignedMatrix& gradient);

 private:
  void Rebuild();

  base::AlignedMatrix matrix_;
  base::AlignedMatrix up_, down_;  // empty where the rank is 0
  AdamOptimizer matrix_steps_, up_steps_, down_steps_;
};

// Overwrites `adapted` with W q for every row q of `queries`, of unit length. `norms`, a float a row: of W q
// before; a row of norm 0 stays zero.
void MapToUnitRows(const base::AlignedMatrix& matrix, base::MatrixView queries, base::AlignedMatrix* adapted,
                   float* norms);

// The contrastive loss of `batch`, whose `queries` are plain, when its queries are adapted by `matrix`; adds
// its derivative by the matrix to `gradient`, d x d.
double MappedLoss(const base::AlignedMatrix& matrix, const ContrastiveBatch& batch,
                  base::AlignedMatrix* gradient);

}  // namespace trivium::routing
