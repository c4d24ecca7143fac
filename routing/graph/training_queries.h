// SPDX-License-Identifier: Apache-2.0
// The queries that teach a graph: joined from several sources, split, and kept.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/types/span.h"
#include "base/aligned_matrix.h"
#include "base/matrix_view.h"
#include "index/kept_training.h"

namespace trivium::routing {

inline constexpr std::size_t kMostValidation = 1000;

// Every distinct query once, in the order of the sources, which have that many columns or no rows. Those with
// components that are not finite are left out: a file may hold anything.
base::AlignedMatrix JoinQueries(std::size_t columns, absl::Span<const base::MatrixView> sources);

struct QuerySplit {
  base::AlignedMatrix training, validation;
};

// Holds a share of the queries out at random, at least one, at most kMostValidation. The others are for
// training, in random order, without near-identical twins (cosine 0.95) of one held out.
QuerySplit SplitQueries(base::MatrixView queries, double validation_share, std::uint64_t seed,
                        int thread_count);

// Copies of those held out and as many of the others as there is room for; no record, no edges.
index::KeptTraining KeepQueries(const QuerySplit& split, std::size_t room);

}  // namespace trivium::routing
