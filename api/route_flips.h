// SPDX-License-Identifier: Apache-2.0
// Whether routes hold when queries are typed badly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "api/judged_queries.h"
#include "api/query_vectors.h"
#include "api/searcher.h"

namespace trivium {

struct RouteFlips {
  std::uint64_t queries = 0;           // routed twice; 0 where their vectors did not come from texts
  std::vector<std::uint64_t> flipped;  // for each router, those whose first expert changed
};

// Routes every judged query with a non-empty text as it is and with `typos` edits, by every router. What an
// encoder says; otherwise cannot fail. Encodes each text once.
absl::StatusOr<RouteFlips> CountRouteFlips(const Searcher& searcher, EncoderSet* encoders,
                                           const JudgedSet& judged, const PreparedQueries& prepared,
                                           std::size_t typos);

}  // namespace trivium
