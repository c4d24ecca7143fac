// SPDX-License-Identifier: Apache-2.0
// How surely each query of a batch picks its own document out of all documents of the batch.
#pragma once

#include <cstdint>
#include <span>
#include <utility>

#include "base/aligned_matrix.h"
#include "base/matrix_view.h"

namespace trivium::routing {

// Every candidate counts against every query, whichever query it was drawn for: positives of other queries
// are in-batch negatives, and hard negatives are shared.
struct ContrastiveBatch {
  base::MatrixView queries;                  // n x d
  base::MatrixView candidates;               // m x d, distinct documents
  std::span<const std::uint32_t> positives;  // of each query: a row of `candidates`
  // Query, candidate: pairs that do not count, such as another relevant document. No positive is among them.
  std::span<const std::pair<std::uint32_t, std::uint32_t>> ignored;
  float temperature = 1;  // > 0
};

// The mean over queries of -log(share of the positive in the softmax of <query, candidate> / temperature).
// Overwrites `gradient`, n x d, with its derivative by the queries.
//
// Source: van den Oord et al. 2018, Eq. 4 (InfoNCE); with in-batch and hard negatives as Karpukhin et al.
// 2020. Cost:   two products of n x m x d, on the calling thread. Memory: n x m floats. The same on every
// run.
double ContrastiveLoss(const ContrastiveBatch& batch, base::AlignedMatrix* gradient);

}  // namespace trivium::routing
