// SPDX-License-Identifier: Apache-2.0
// Queries with their answers: what a graph router learns from and is judged by. Borrowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/matrix_view.h"
#include "routing/graph/imitation/hop_oracle.h"

namespace trivium::routing {

struct AnsweredQueries {
  base::MatrixView queries;  // m x d, finite
  // m x targets_per_query: vertices to be found, the nearest first; HopOracle::kNoVertex fills up. In
  // validation a query is answered where the first of them, or one as near, is found.
  std::span<const std::uint32_t> targets;
  std::size_t targets_per_query = 1;
  // m, or empty: a vertex the query must not see (a query that is a row itself), or HopOracle::kNoVertex.
  std::span<const std::uint32_t> hidden = {};

  std::span<const std::uint32_t> TargetsOf(std::size_t query) const {
    return targets.subspan(query * targets_per_query, targets_per_query);
  }
  std::uint32_t HiddenFrom(std::size_t query) const {
    return hidden.empty() ? HopOracle::kNoVertex : hidden[query];
  }
};

}  // namespace trivium::routing
