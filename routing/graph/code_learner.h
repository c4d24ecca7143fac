// SPDX-License-Identifier: Apache-2.0
// Codes of edges learned from queries: what training queries and their true neighbours say about where
// queries lie around a vertex, by which edges are then encoded (index/query_spread.h, index/sign_chooser.h).
// It takes no byte of a block and no time of a walk.
#pragma once

#include <memory>

#include "base/matrix_view.h"
#include "index/edge_codes.h"
#include "index/query_spread.h"
#include "routing/graph/query_answers.h"

namespace trivium::routing {

// The covariance of queries less kPull times their true neighbours, over at most kMostPairs of these, drawn
// towards a multiple of the identity where queries are few. `codes` gives rotation, mean and metric; `rows`
// are theirs. Deterministic. Cost: 2 s for kMostPairs x 384 on one thread; 4 bytes x (dimension^2 + 2,048
// dimension) while it runs.
inline constexpr std::size_t kMostPairs = 40'000;
// Fits all kinds of validation queries of 160,955 MiniLM vectors; hops change by less than 1 % from 0.5 to
// 0.8.
inline constexpr float kPull = 0.65f;
std::shared_ptr<const index::QuerySpread> LearnSpread(base::MatrixView rows, const index::EdgeCodes& codes,
                                                      const QueryAnswers& training);

}  // namespace trivium::routing
